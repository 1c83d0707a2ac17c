"""A run on disk: ``RUN/`` as the public formats define it, written from facts.

``tracks`` has a row at each fact about where a vehicle is, by vehicle and time; a row holds until the vehicle's next one.
Of several facts about one moment the last counts. A crossing is found when a vehicle is well across, and told with the time at
which it was on the line: what is told of a vehicle for a time after it left does not count, as in the graph, unless it is
confirmed anew; nor does what is told of one whose confirmation was taken back.
Missing values are nulls, times int64 microseconds UTC, positions metres in the site frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from twin.errors import BadInput
from twin.events.codec import canonical_json
from twin.events.envelope import FactEvent
from twin.events.facts import (
    Fact,
    IdentitiesMerged,
    SessionAmended,
    SessionClosed,
    SessionOpened,
    SessionOrphaned,
    VehicleConfirmed,
    VehicleDismissed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.ids import EventId

TRACKS = pa.schema(
    [
        ("vehicle", pa.string()),
        ("t", pa.int64()),
        ("level", pa.string()),
        *[(name, pa.float64()) for name in ("x_m", "y_m", "xx", "xy", "yy")],
        ("state", pa.string()),
    ]
)
SESSIONS = pa.schema(
    [
        ("session", pa.string()),
        ("vehicle", pa.string()),
        ("entry_t", pa.int64()),
        ("exit_t", pa.int64()),
        ("status", pa.string()),
        ("confidence", pa.float64()),
        ("amount_minor", pa.int64()),
    ]
)


class Tables:
    """Track and session rows, gathered fact by fact; a superseded fact's row goes."""

    def __init__(self) -> None:
        self._tracks: dict[EventId, dict[str, Any]] = {}
        self._confirmed: dict[EventId, tuple[str, int]] = {}
        self._sessions: dict[EventId, dict[str, Any]] = {}

    def add(self, event: FactEvent) -> None:
        """Take one fact; facts that are about neither only supersede."""
        for fact_id in event.supersedes:
            self._tracks.pop(fact_id, None)
            self._confirmed.pop(fact_id, None)
            self._sessions.pop(fact_id, None)
        if (track := track_row(event)) is not None:
            self._tracks[event.id] = track
        if isinstance(event.payload, VehicleConfirmed):
            self._confirmed[event.id] = event.payload.vehicle, event.occurred_at
        if (session := session_row(event.payload)) is not None:
            self._sessions[event.id] = session

    @property
    def n_vehicles(self) -> int:
        """Vehicles that have a track row: each has one where it was confirmed."""
        return len(self._vehicles)

    @property
    def _vehicles(self) -> set[str]:
        return {vehicle for vehicle, _ in self._confirmed.values()}

    def write(self, run: Path) -> int:
        """Write ``tracks.parquet`` and ``sessions.parquet``, sessions by id; returns the number of sessions."""
        newest = {row["session"]: row for row in self._sessions.values()}
        newest = {name: row for name, row in newest.items() if row["status"] != "void"}  # another session is that stay
        pq.write_table(pa.Table.from_pylist(self._track_rows(), TRACKS), run / "tracks.parquet")
        pq.write_table(pa.Table.from_pylist([newest[name] for name in sorted(newest)], SESSIONS), run / "sessions.parquet")
        return len(newest)

    def _track_rows(self) -> list[dict[str, Any]]:
        gone_at, vehicles = self._gone_at(), self._vehicles
        rows = dict[tuple[str, int], dict[str, Any]]()
        for row in self._tracks.values():
            key = row["vehicle"], row["t"]
            if row["vehicle"] not in vehicles:
                continue
            if row["t"] <= gone_at.get(row["vehicle"], row["t"]) and not _is_left(rows.get(key)):
                rows[key] = row
        return [rows[key] for key in sorted(rows)]

    def _gone_at(self) -> dict[str, int]:
        """When each vehicle left for good: the first time after it was last confirmed."""
        confirmed_at, gone_at = dict[str, int](), dict[str, int]()
        for vehicle, at in self._confirmed.values():
            confirmed_at[vehicle] = max(at, confirmed_at.get(vehicle, at))
        for row in self._tracks.values():
            vehicle, at = row["vehicle"], row["t"]
            if row["state"] == "left" and at >= confirmed_at.get(vehicle, at):
                gone_at[vehicle] = min(at, gone_at.get(vehicle, at))
        return gone_at


def _is_left(row: dict[str, Any] | None) -> bool:
    return row is not None and row["state"] == "left"


def track_row(event: FactEvent) -> dict[str, Any] | None:
    """The row of ``tracks`` that a fact gives, or None."""
    match event.payload:
        case VehicleConfirmed() | VehicleMoved() as fact:
            place, state = (fact.level, *fact.position_m, *fact.covariance_m2), "moving"
        case VehicleParked() as fact:
            place, state = (fact.level, *fact.position_m, *fact.covariance_m2), "parked"
        case VehicleHidden() as fact:
            place, state = (fact.level, *fact.position_m, None, None, None), "hidden"
        case VehicleLeft() | VehicleDismissed() as fact:
            place, state = (None,) * 6, "left"
        case IdentitiesMerged() as fact:
            # of the one that is no more; readers of runs know no other word for it
            return dict(zip(TRACKS.names, (fact.merged, event.occurred_at, *(None,) * 6, "left"), strict=True))
        case _:
            return None
    return dict(zip(TRACKS.names, (fact.vehicle, event.occurred_at, *place, state), strict=True))


def session_row(fact: Fact) -> dict[str, Any] | None:
    """The row of ``sessions`` that a fact gives, or None. Amounts are null while a stay is open, and without a tariff."""
    match fact:
        case SessionOpened():
            stay = (fact.entry_at, None, "open", fact.confidence, None)
        case SessionClosed():
            stay = (fact.entry_at, fact.exit_at, "closed", fact.confidence, fact.amount_minor)
        case SessionAmended():
            stay = (fact.entry_at, fact.exit_at, fact.status, fact.confidence, fact.amount_minor)
        case SessionOrphaned():
            stay = (None, fact.exit_at, "orphan", 0.0, None)
        case _:
            return None
    return dict(zip(SESSIONS.names, (fact.session, fact.vehicle, *stay), strict=True))


def prepare(run: Path) -> Path:
    """Make the folder; files of another kind in it are left alone.

    Raises:
        BadInput: the path is a file or cannot be written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as wrong:
        raise BadInput(f"run folder '{run}' cannot be made: {wrong.strerror}; give another --out") from None
    return run


def write_manifest(run: Path, *, site: str, fold_version: str, config_hash: str) -> None:
    """``manifest.json``; keeps the seed and profile of a simulation in the same folder."""
    kept = {"seed": None, "profile": None}
    path = run / "manifest.json"
    if path.exists():
        kept |= {key: value for key, value in msgspec.json.decode(path.read_bytes()).items() if key in kept}
    manifest = {"schema": "twin.run/1", "site": site, **kept, "fold_version": fold_version, "config_hash": config_hash}
    path.write_bytes(canonical_json(manifest) + b"\n")
