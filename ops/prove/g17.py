"""G17: a log written by any release folds on the newest, and a change of the fold states its differences first.

A run takes a database that a release wrote, brings it to this release's schema, verifies its hash chain, and folds its
observations again: against its own facts, or, where the fold has a newer version, against the facts which that version was
recorded to make of them. Control: a fold that lost one fact, which the same check must tell.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import twin
from site_models.load import load_site
from site_models.schema import Site
from twin.errors import BadInput, FoldMismatch
from twin.events.codec import to_json
from twin.events.envelope import FactEvent, RecordedObservation
from twin.events.observations import Personal
from twin.log.sealing import personal_of
from twin.log.sql import SqlLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.verify import verify
from twin.rules.fold import FOLD_VERSION, Fold
from twin.service import check

from .outcome import Outcome, tried

RUNS, FULL_RUNS = 1, 1
_GOLDEN = Path(twin.__file__).parent.parent / "tests" / "golden"


def prove(runs: int, seed: int) -> Outcome:
    """Each run takes every release; raises BadInput where there is none."""
    releases = sorted(path for path in _GOLDEN.glob("v*") if path.is_dir())
    if not releases:
        raise BadInput(f"there are no databases of releases at '{_GOLDEN}'")
    seeds = range(seed, seed + runs)
    failures = tried(seeds, lambda one: _first(asyncio.run(_refuted(path, Fold)) for path in releases))
    control = tried(
        range(seed, seed + 3),
        lambda one: _first(asyncio.run(_refuted(path, lambda site: _Lossy(site, one))) for path in releases),
    )
    return Outcome(runs * len(releases), failures, "a fold that lost one fact", len(control))


class _Lossy(Fold):
    """Loses the facts of one observation."""

    def __init__(self, site: Site, seed: int) -> None:
        super().__init__(site)
        self._lost = random.Random(f"lost {seed}").randint(1, 20)

    def step(self, state: Any, recorded: RecordedObservation, personal: Personal | None) -> tuple[Any, tuple[FactEvent, ...]]:
        """See ``Fold.step``."""
        state, facts = super().step(state, recorded, personal)
        self._lost -= bool(facts)
        return state, () if facts and self._lost == 0 else facts


def _first(found: Any) -> str | None:
    return next((one for one in found if one is not None), None)


async def _refuted(release: Path, fold_of: Any) -> str | None:
    site = load_site(release / "site")
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "log.db"
        with gzip.open(release / "twin.db.gz") as packed, database.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
        log = SqlLog.open(database, upgrade=True)
        try:
            if faults := (await log.read(verify, site.name)).faults:
                return f"{release.name}: {faults[0]}"
            (first,) = await log.facts(site.name, limit=1)
            if first.event.fold_version != FOLD_VERSION:
                return await _unstated(release, log, fold_of(site))
            try:
                await check(log, SqlKeyRing(log), fold_of(site))
            except FoldMismatch as differs:
                return f"{release.name}: {differs}"
        finally:
            await log.aclose()
    return None


async def _unstated(release: Path, log: SqlLog, fold: Fold) -> str | None:
    """How the fold differs from what was recorded of its version; None where it does not."""
    recorded = release / f"facts.fold-{FOLD_VERSION}.jsonl.gz"
    if not recorded.exists():
        return f"{release.name}: nothing states what fold version {FOLD_VERSION} makes of it; run tests/golden/make.py --refold"
    stated = gzip.decompress(recorded.read_bytes()).splitlines()
    keys, state, made = SqlKeyRing(log), fold.initial(), list[bytes]()
    for one in await log.observations(fold.site.name, limit=1_000_000):
        state, facts = fold.step(state, one, await personal_of(keys, one.event))
        made += map(to_json, facts)
    if made == stated:
        return None
    first = next((n for n, (a, b) in enumerate(zip(made, stated, strict=False), 1) if a != b), min(len(made), len(stated)) + 1)
    return f"{release.name}: {len(made)} facts, {len(stated)} recorded of fold version {FOLD_VERSION}; fact {first} differs"
