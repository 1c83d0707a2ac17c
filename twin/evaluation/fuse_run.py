"""``twin fuse``: a file of observations into a run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from site_models.schema import Site
from twin.errors import BadInput
from twin.evaluation.event_files import FactWriter, mentions, read_observations
from twin.evaluation.offline import FuseSummary, fuse, with_clock
from twin.evaluation.run_directory import Tables, prepare, write_manifest
from twin.events.envelope import ObservationEvent
from twin.rules.fold import Fold

Changed = Callable[[Iterable[ObservationEvent]], Iterable[ObservationEvent]]
"""What is left of observations, and how they came instead."""


def fuse_run(
    site: Site, observations: Path, run: Path, *, fold: Fold | None = None, changed: Changed | None = None
) -> dict[str, Any]:
    """Fuse offline, and again where an observation asks for it (``twin refuse``).

    Writes ``facts.jsonl``, ``tracks.parquet``, ``sessions.parquet`` and ``manifest.json``.

    Args:
        fold: another than the site's own, for a comparison.
        changed: what becomes of the observations before they are fused; None: nothing.

    Returns:
        A summary: observations, duplicates, ticks added, facts, vehicles, sessions, first and last event time.

    Raises:
        BadInput: the file cannot be read, names another site, or holds no observation.
    """
    fold, summary, tables = fold or Fold(site), FuseSummary(), Tables()
    has_clock = mentions(observations, "clock.ticked.v1")

    def events() -> Iterable[ObservationEvent]:
        stored = read_observations(observations)
        came = stored if changed is None else changed(stored)
        return came if has_clock else with_clock(came, site.name)

    prepare(run)
    with FactWriter(run / "facts.jsonl") as facts_file:
        for fact in fuse(fold, events(), summary, again=events):
            facts_file.write(fact)
            tables.add(fact.event)
    if summary.observations == 0:
        raise BadInput(f"'{observations}' holds no observation; nothing was fused")
    n_sessions = tables.write(run)
    write_manifest(run, site=site.name, fold_version=fold.version, config_hash=fold.config_hash)
    counts = {"schema": "twin.fuse/1", "site": site.name, "vehicles": tables.n_vehicles, "sessions": n_sessions}
    return {**counts, **msgspec.to_builtins(summary)}
