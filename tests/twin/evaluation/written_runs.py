"""Small runs, written by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from twin.events.ids import SECOND

START = 1_767_592_800 * SECOND

TRACKS = ("vehicle", "t", "level", "x_m", "y_m", "xx", "xy", "yy", "state")
TRUTH = ("vehicle", "t", "level", "x_m", "y_m", "heading_deg", "stall", "state")
VISITS = ("vehicle", "entry_t", "exit_t", "plate")
SESSIONS = ("session", "vehicle", "entry_t", "exit_t", "status", "confidence", "amount_minor")
_TYPES = {
    **dict.fromkeys(("t", "entry_t", "exit_t", "amount_minor"), pa.int64()),
    **dict.fromkeys(("x_m", "y_m", "xx", "xy", "yy", "heading_deg", "confidence"), pa.float64()),
}


def at(seconds: float | None) -> int | None:
    """Seconds after the start."""
    return None if seconds is None else START + round(seconds * SECOND)


def write(run: Path, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table of a run."""
    run.mkdir(exist_ok=True)
    schema = pa.schema([(column, _TYPES.get(column, pa.string())) for column in columns])
    pq.write_table(
        pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], schema), run / f"{name}.parquet"
    )


def truth(vehicle: str, seconds: float, x_m: float, y_m: float = 0.0, state: str = "moving", stall: str | None = None) -> tuple:
    """A row of the truth."""
    return (vehicle, at(seconds), "ground", x_m, y_m, 0.0, stall, state)


def track(
    vehicle: str, seconds: float, x_m: float, y_m: float = 0.0, state: str = "moving", var_m2: float | None = 0.1
) -> tuple:
    """A row of the tracks, with a round covariance."""
    return (vehicle, at(seconds), "ground", x_m, y_m, var_m2, None if var_m2 is None else 0.0, var_m2, state)


def write_tracking(run: Path, true: Sequence[tuple], tracks: Sequence[tuple]) -> Path:
    """Truth and tracks."""
    write(run, "truth", TRUTH, true)
    write(run, "tracks", TRACKS, tracks)
    return run


def write_stays(run: Path, visits: Sequence[tuple], sessions: Sequence[tuple]) -> Path:
    """Visits (vehicle, entry, exit) and sessions (vehicle, entry, exit), in seconds; None: open, or before the period."""
    write(run, "visits", VISITS, [(vehicle, at(entry), at(leave), None) for vehicle, entry, leave in visits])
    rows = list[tuple]()
    for number, (vehicle, entry, leave) in enumerate(sessions):
        status = "orphan" if entry is None else "open" if leave is None else "closed"
        rows.append((f"s-{number}", vehicle, at(entry), at(leave), status, 1.0, None))
    write(run, "sessions", SESSIONS, rows)
    return run
