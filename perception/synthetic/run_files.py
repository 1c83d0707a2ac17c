"""Writes a simulated run: observations, truth and visits as FORMATS.md has them, the same bytes for the same seed.

``truth.parquet`` has a row every 100 ms for a vehicle that moves, one row when it parks (it stands there until its next
row), one for each that is parked at the start, and a last row with state ``left`` for one that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from msgspec.structs import replace

from perception.synthetic.demand import Demand
from perception.synthetic.profiles import profile as profile_named
from perception.synthetic.simulate import Simulation, demand_of
from perception.synthetic.sumo.traffic import SumoTraffic
from perception.synthetic.traffic import Traffic
from perception.synthetic.truth import TruthFrame, VehicleState, Visit
from perception.synthetic.vehicles import TrueVehicleId
from site_models.schema import Site
from twin.errors import BadInput
from twin.events.codec import to_json
from twin.events.ids import SECOND, Micros

_TRUTH = pa.schema(
    [
        ("vehicle", pa.string()),
        ("t", pa.int64()),
        ("level", pa.string()),
        ("x_m", pa.float64()),
        ("y_m", pa.float64()),
        ("heading_deg", pa.float64()),
        ("stall", pa.string()),
        ("state", pa.string()),
    ]
)
_VISITS = pa.schema([("vehicle", pa.string()), ("entry_t", pa.int64()), ("exit_t", pa.int64()), ("plate", pa.string())])
_FUSED = ("facts.jsonl", "tracks.parquet", "sessions.parquet")
_ROWS = 50_000  # of a row group


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a written run holds."""

    observations: int
    truth_rows: int
    visits: int
    simulated_s: float


def write_run(
    site: Site,
    profile: str,
    seed: int,
    hours: float,
    out: Path,
    start_at: Micros,
    *,
    traffic: str = "own",
    demand: Demand | None = None,
    plates: float = 0.0,
) -> RunSummary:
    """Simulate ``hours`` from ``start_at`` and write manifest.json, observations.jsonl.zst, truth.parquet, visits.parquet.

    ``plates`` of the crops that show a number plate well have it read; no profile has any.

    What was fused in that folder before is removed: it is of other observations than those that stand beside it now.

    Raises:
        BadInput: an unknown profile or traffic source, no time to simulate, or a site without cameras or a way through.
        MissingExtra: traffic from SUMO, which is not installed.
    """
    if traffic not in ("own", "sumo"):
        raise BadInput(f"traffic source '{traffic}' is not known; use 'own' or 'sumo'")
    if not 0 < hours <= 24 * 366:
        raise BadInput(f"cannot simulate {hours} hours; give a number over 0, of at most a year")
    if not 0.0 <= plates <= 1.0:
        raise BadInput(f"cannot read a share of {plates} of the plates; give a number from 0 to 1")
    until_at, noise = start_at + round(hours * 3600 * SECOND), replace(profile_named(profile), plates=plates)
    if traffic == "sumo":
        source = closing(SumoTraffic(site, seed, start_at, until_at, demand_of(noise, demand)))
    else:
        source = nullcontext(Traffic(site, seed, start_at, demand_of(noise, demand)))
    with source as truth:
        return _write_all(Simulation(site, seed, noise, start_at, traffic=truth), profile, until_at, out)


def _write_all(simulation: Simulation, profile: str, until_at: Micros, out: Path) -> RunSummary:
    out.mkdir(parents=True, exist_ok=True)
    _remove_fused(out)
    manifest = {"schema": "twin.run/1", "site": simulation.site.name, "seed": simulation.seed, "profile": profile}
    unfused = {"fold_version": None, "config_hash": None}
    (out / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest | unfused)) + b"\n")
    return _write(simulation, until_at, out)


def _remove_fused(out: Path) -> None:
    """Only what ``twin fuse`` says that it wrote; tables of another tracker are their owner's."""
    path = out / "manifest.json"
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (FileNotFoundError, msgspec.DecodeError):
        return
    if manifest.get("fold_version") is not None:
        for name in _FUSED:
            (out / name).unlink(missing_ok=True)


def write_truth(path: Path, frames: Iterable[TruthFrame]) -> int:
    """Write frames as ``truth.parquet``; returns the rows."""
    truth = _TruthRows()
    truth.add(frames)
    pq.write_table(truth.take(), path, compression="zstd")
    return truth.n_rows


def write_visits(path: Path, visits: list[Visit]) -> None:
    """Write stays as ``visits.parquet``."""
    pq.write_table(_visits(visits), path, compression="zstd")


def _write(simulation: Simulation, until_at: Micros, out: Path) -> RunSummary:
    n_observations, visits, truth = 0, list[Visit](), _TruthRows()
    with (
        (out / "observations.jsonl.zst").open("wb") as file,
        zstandard.ZstdCompressor(level=6).stream_writer(file) as lines,
        pq.ParquetWriter(out / "truth.parquet", _TRUTH, compression="zstd") as table,
    ):
        for step in simulation.steps(until_at):
            for one in step.arrivals:
                lines.write(to_json(one.event) + b"\n")
            n_observations += len(step.arrivals)
            visits += step.visits
            truth.add(step.truth)
            if len(truth.rows) >= _ROWS:
                table.write_table(truth.take())
        table.write_table(truth.take())
    visits += simulation.traffic.open_visits()
    write_visits(out / "visits.parquet", visits)
    simulated_s = (until_at - simulation.start_at) / SECOND
    return RunSummary(observations=n_observations, truth_rows=truth.n_rows, visits=len(visits), simulated_s=simulated_s)


class _TruthRows:
    """Turns frames into rows."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.n_rows = 0
        self._last: dict[TrueVehicleId, VehicleState] = {}

    def add(self, frames: Iterable[TruthFrame]) -> None:
        for frame in frames:
            present = {state.vehicle.id: state for state in frame.vehicles}
            for vehicle, state in self._last.items():
                if vehicle not in present:
                    self._add(state, frame.at, "left")
            for vehicle, state in present.items():
                if self._last.get(vehicle) is not state:
                    self._add(state, frame.at, state.state)
            self._last = present

    def take(self) -> Any:
        """The rows so far, as a table (pyarrow has no types)."""
        table = pa.Table.from_pylist(self.rows, schema=_TRUTH)
        self.rows = []
        return table

    def _add(self, state: VehicleState, at: Micros, name: str) -> None:
        self.n_rows += 1
        self.rows.append(
            {
                "vehicle": state.vehicle.id,
                "t": at,
                "level": state.level,
                "x_m": round(state.x_m, 4),
                "y_m": round(state.y_m, 4),
                "heading_deg": round(state.heading_deg, 3),
                "stall": state.stall,
                "state": name,
            }
        )


def _visits(visits: list[Visit]) -> Any:
    rows = [
        {"vehicle": one.vehicle.id, "entry_t": one.entry_at, "exit_t": one.exit_at, "plate": one.vehicle.plate}
        for one in sorted(visits, key=lambda visit: visit.vehicle.id)
    ]
    return pa.Table.from_pylist(rows, schema=_VISITS)
