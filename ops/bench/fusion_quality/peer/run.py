"""A run of the peer: the same tables as ``twin fuse`` writes, without facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from site_models.schema import LevelId, Site
from twin.evaluation.event_files import read_observations
from twin.evaluation.run_directory import SESSIONS, TRACKS

from .places import Places
from .tracker import GroundTracker
from .vehicles import SiteVehicles


def peer_run(site: Site, observations: Path, run: Path) -> dict[str, Any]:
    """Track a file of observations; writes ``tracks.parquet`` and ``sessions.parquet``.

    Raises:
        MissingExtra: Stone Soup is not installed.
    """
    trackers: dict[LevelId, GroundTracker] = {level.id: GroundTracker() for level in site.levels}
    vehicles, n_observations = SiteVehicles(site), 0

    def counted() -> Any:
        nonlocal n_observations
        for event in read_observations(observations):
            n_observations += 1
            yield event

    for at, seen in Places(site).steps(counted()):
        for level, tracker in trackers.items():
            vehicles.step(at, level, tracker.step(at, seen.get(level, [])))
    vehicles.finish()
    rows = {(row["vehicle"], row["t"]): row for row in vehicles.tracks}
    pq.write_table(pa.Table.from_pylist([rows[key] for key in sorted(rows)], TRACKS), run / "tracks.parquet")
    pq.write_table(pa.Table.from_pylist(vehicles.sessions, SESSIONS), run / "sessions.parquet")
    return {"observations": n_observations, "sessions": len(vehicles.sessions)}
