"""One case of a run, to look at: where a vehicle was, what the tracks showed there, and which stays came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twin.errors import NotFound
from twin.evaluation.grid import Samples, sampled
from twin.evaluation.run_tables import NEVER, Table, has_table, read_table
from twin.events.codec import rfc3339
from twin.events.ids import SECOND, Micros

BEFORE_US = AFTER_US = 10 * SECOND
STEP_US = SECOND // 2


def case_of(run: Path, vehicle: str, around: Micros) -> dict[str, Any]:
    """The 20 s around a time, every half second, and the stays and sessions of all who take part.

    Raises:
        NotFound: neither the truth nor the tracks nor the stays know the vehicle.
        BadInput: a table is faulty.
    """
    tables = {name: read_table(run, name) for name in ("truth", "tracks", "visits", "sessions") if has_table(run, name)}
    if not any(vehicle in one["vehicle"] for one in tables.values()):
        raise NotFound(f"run '{run}' has no vehicle '{vehicle}', neither true nor in its tracks; check the name")
    is_true = any(vehicle in tables[name]["vehicle"] for name in ("truth", "visits") if name in tables)
    moments = np.arange(around - BEFORE_US, around + AFTER_US + 1, STEP_US, dtype=np.int64)
    own, other = ("truth", "tracks") if is_true else ("tracks", "truth")
    rows = _rows(moments, _on(tables, own, moments), _on(tables, other, moments), vehicle)
    met = sorted({row["nearest"] for row in rows if row["distance_m"] is not None and row["distance_m"] <= 3.0})
    true, tracks = ([vehicle], met) if is_true else (met, [vehicle])
    return {
        "schema": "twin.case/1",
        "run": str(run),
        "vehicle": vehicle,
        "is_true": is_true,
        "around": rfc3339(around),
        "moments": rows,
        "visits": _stays(tables.get("visits"), true),
        "sessions": _stays(tables.get("sessions"), tracks),
    }


def case_text(shown: Mapping[str, Any]) -> str:
    """The case for reading."""
    own, other = ("true vehicle", "track") if shown["is_true"] else ("track", "true vehicle")
    lines = [f"{own} '{shown['vehicle']}' around {shown['around']}; beside it the nearest {other}"]
    for row in shown["moments"]:
        here = f"{row['state']:8} {_place(row['x_m'], row['y_m'])}" if row["state"] else "not there"
        near = f"{row['nearest']} at {row['distance_m']:.2f} m, {row['nearest_state']}" if row["nearest"] else f"no {other}"
        lines.append(f"  {row['at']}  {here:28} {near}")
    for title in ("visits", "sessions"):
        lines += [f"{title[:-1]}: " + ", ".join(f"{name} {value}" for name, value in stay.items()) for stay in shown[title]]
    return "\n".join(lines) + "\n"


def _on(tables: Mapping[str, Table], name: str, moments: Any) -> tuple[Samples, Table] | None:
    return (sampled(tables[name], moments), tables[name]) if name in tables and len(tables[name]["t"]) else None


def _rows(
    moments: Any, own: tuple[Samples, Table] | None, other: tuple[Samples, Table] | None, vehicle: str
) -> list[dict[str, Any]]:
    rows = list[dict[str, Any]]()
    for frame, at in enumerate(moments):
        row: dict[str, Any] = {"at": rfc3339(int(at)), "state": None, "level": None, "x_m": None, "y_m": None}
        row |= {"nearest": None, "nearest_state": None, "distance_m": None}
        here = None if own is None else _at(own[0], frame, vehicle)
        if own is not None and here is not None:
            samples, table = own
            x_m, y_m = (round(float(value), 3) for value in samples.xy_m[here])
            state, level = str(table["state"][samples.row[here]]), str(samples.level[here])
            row |= {"state": state, "level": level, "x_m": x_m, "y_m": y_m}
            row |= {} if other is None else _nearest(other, frame, samples, here)
        rows.append(row)
    return rows


def _at(samples: Samples, frame: int, vehicle: str) -> int | None:
    found = np.flatnonzero((samples.frame == frame) & (samples.names[samples.vehicle] == vehicle))
    return int(found[0]) if len(found) else None


def _nearest(other: tuple[Samples, Table], frame: int, own: Samples, here: int) -> dict[str, Any]:
    samples, table = other
    there = np.flatnonzero((samples.frame == frame) & (samples.level == own.level[here]))
    if not len(there):
        return {}
    distances_m = np.hypot(*(samples.xy_m[there] - own.xy_m[here]).T)
    nearest = int(there[np.argmin(distances_m)])
    name, state = str(samples.names[samples.vehicle[nearest]]), str(table["state"][samples.row[nearest]])
    return {"nearest": name, "nearest_state": state, "distance_m": round(float(distances_m.min()), 3)}


def _stays(table: Table | None, vehicles: list[str]) -> list[dict[str, Any]]:
    if table is None:
        return []
    told = list[dict[str, Any]]()
    for row in np.flatnonzero(np.isin(table["vehicle"], vehicles)):
        stay: dict[str, Any] = {"session": str(table["session"][row])} if "session" in table else {}
        stay["vehicle"] = str(table["vehicle"][row])
        for name in ("entry_t", "exit_t"):
            stay[name.replace("_t", "")] = None if table[name][row] == NEVER else rfc3339(int(table[name][row]))
        told.append(stay | ({"status": str(table["status"][row])} if "status" in table else {}))
    return told


def _place(x_m: float, y_m: float) -> str:
    return f"({x_m:.2f}, {y_m:.2f})"
