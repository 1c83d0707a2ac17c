"""A trimmed log folds on as if it had not been, and says what it does not know any more."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import Cut, FoldMismatch
from twin.evaluation.proofs import part
from twin.events.codec import canonical_json, to_json
from twin.fold_state import SNAPSHOT_KIND, version_of
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import Outcome, Snapshot
from twin.log.sealing import SealingLog
from twin.log.sql import SqlLog
from twin.log.sql.verify import verify
from twin.log.subscriptions import Filter, MemorySubscriptions, Subscription
from twin.projections.moment import FOREVER, Moment
from twin.projections.naive import replay
from twin.projections.sessions import sessions
from twin.projections.strips.index import StripIndex
from twin.projections.strips.shelf import STRIP_KIND
from twin.projections.timeline import Timeline
from twin.refusal import state_at
from twin.retention import Keep, Retention
from twin.rules.fold import FOLD_VERSION, Fold
from twin.service import FusionWorker, check

SECONDS, SECOND = 120, 1_000_000


class Clock:
    at = 1_767_582_000 * SECOND

    def __call__(self):
        return self.at


class Day:
    """A site-day in a log, recorded as it happened, folded up to some observation."""

    def __init__(self, store, clock):
        self.site = part("site_day").PROOF_SITE
        self.store, self.clock, self.keys = store, clock, MemoryKeyRing()
        self.log = SealingLog(store, self.keys)
        self.events = part("site_day").site_day(3, SECONDS)
        self.subscriptions = MemorySubscriptions()
        self.retention = Retention(self.log, self.keys, Fold(self.site), self.subscriptions, clock=clock)

    async def live(self, first, last):
        for start in range(first, last, 50):
            some = self.events[start : min(start + 50, last)]
            self.clock.at = max(self.clock.at, some[-1].occurred_at)
            await self.log.append(some)
            await self.folded()

    async def folded(self, fold=None):
        worker = FusionWorker(
            self.log, self.keys, fold or Fold(self.site), worker_id="w", clock_ticks=False, snapshot_every=60, batch_size=97
        )
        head = (await self.log.heads(self.site.name)).observations
        running = asyncio.create_task(worker.run())
        while not running.done() and worker.cursor < head:  # noqa: ASYNC110 - the worker has no event for it
            await asyncio.sleep(0)
        worker.stop()
        await running

    async def facts(self):
        found = await self.log.facts(self.site.name, limit=10**6, thinned=True)
        return {one.position: to_json(one.event) for one in found}


@pytest.fixture(scope="module")
def whole():
    """The same day, never trimmed: its log in memory."""

    async def made():
        day = Day(MemoryLog(clock=(clock := Clock())), clock)
        await day.live(0, len(day.events))
        return day

    return asyncio.run(made())


@asynccontextmanager
async def trimmed(store, times, *, movement=True):
    """A day of which everything recorded before each of these shares was cut when that much of it was there."""
    clock = Clock()
    day = Day(store(clock), clock)
    try:
        lived = 0
        for share, cut_share in times:
            until = round(share * len(day.events))
            await day.live(lived, until)
            lived = until
            before = day.events[0].occurred_at + round(cut_share * SECONDS * SECOND)
            await day.retention.trim(before=before, movement_before=before if movement else None)
        await day.live(lived, len(day.events))
        yield day
    finally:
        await day.store.aclose()


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        return lambda clock: MemoryLog(clock=clock)
    return lambda clock: SqlLog.open(tmp_path / "log.db", clock=clock)


async def test_a_day_trimmed_on_the_way_has_the_facts_of_one_that_was_not(store, whole):
    async with trimmed(store, [(0.5, 0.4), (0.8, 0.6)]) as day:
        cuts = await day.log.cuts(day.site.name)
        assert cuts.observations > 300
        assert cuts.movement > 20
        expected, found = await whole.facts(), await day.facts()
        gone = {position for position in expected if position not in found}
        assert {position: expected[position] for position in found} == found
        assert len(gone) > 10
        assert all(b'"vehicle.moved.v1"' in expected[position] for position in gone)
        assert (await check(day.log, day.keys, Fold(day.site))).cut == cuts.observations
        if isinstance(day.store, SqlLog):
            assert (await day.store.read(verify, day.site.name)).faults == ()


async def test_every_state_that_is_still_known_is_the_one_that_was_known_before(store, whole):
    async with trimmed(store, [(0.7, 0.3), (0.9, 0.6)]) as day:
        made, head = (await day.log.cuts(day.site.name)).thinning, (await day.log.heads(day.site.name)).facts
        assert made is not None
        timeline, before, draw = Timeline(day.log, day.site), Timeline(whole.log, day.site), random.Random(2)
        begin, end = day.events[0].occurred_at, day.events[-1].occurred_at
        for number in range(60):
            at, known_at = draw.randrange(made.from_at, end + SECOND), draw.randint(made.position, head)
            expected = canonical_json(await before.state(at, known_at))
            assert canonical_json(await timeline.state(at, known_at)) == expected
            if number % 6 == 0:
                assert canonical_json(await replay(day.log, day.site, at=at, known_at=known_at)) == expected
        for at, known_at in ((made.from_at - 1, head), (begin, head), (end, made.position - 1), (None, 0)):
            for read in (timeline.state(at, known_at), replay(day.log, day.site, at=at, known_at=known_at)):
                with pytest.raises(Cut, match="is not known any more"):
                    await read
        for moment in (Moment(at=begin + 60 * SECOND, known_at=head), Moment(at=FOREVER, known_at=made.position // 2)):
            assert await sessions(day.log, day.site.name, moment) == await sessions(whole.log, day.site.name, moment)


async def test_strips_of_what_is_cut_are_gone_and_those_of_what_is_left_still_serve(store, whole):
    clock, draw = Clock(), random.Random(3)
    day, before = Day(store(clock), clock), Timeline(whole.log, whole.site)

    def small():
        made = Timeline(day.log, day.site)
        made.strips = StripIndex(day.log, day.site, made.version, strip_facts=100, settle=0)
        return made

    async def strips():
        return await day.log.load_snapshots(day.site.name, STRIP_KIND, lasting.version, until_position=2**62, limit=999)

    async def build(timeline):
        while await timeline.strips.build():
            pass

    try:
        lasting, end, lived, n_dropped = small(), day.events[-1].occurred_at, 0, 0
        for share, cut_share in ((0.6, 0.2), (0.8, 0.5), (1.0, 0.6)):
            until = round(share * len(day.events))
            await day.live(lived, until)
            lived = until
            await build(lasting)
            built = await strips()
            at = day.events[0].occurred_at + round(cut_share * SECONDS * SECOND)
            await day.retention.trim(before=at, movement_before=at)
            made, head = (await day.log.cuts(day.site.name)).thinning, (await day.log.heads(day.site.name)).facts
            assert made is not None
            kept = await strips()
            assert kept
            n_dropped += len(built) - len(kept)
            assert all(one.position >= made.position for one in kept)
            for timeline in (lasting, small()):
                for _ in range(10):
                    at, known_at = draw.randrange(made.from_at, end + SECOND), draw.randint(made.position, head)
                    expected = canonical_json(await replay(day.log, day.site, at=at, known_at=known_at))
                    assert canonical_json(await timeline.state(at, known_at)) == expected
                    assert canonical_json(await before.state(at, known_at)) == expected
        assert n_dropped > 0
    finally:
        await day.store.aclose()


@settings(max_examples=3, deadline=None)
@given(shares=st.lists(st.tuples(st.floats(0.05, 1.0), st.floats(0.0, 1.0)), min_size=1, max_size=4).map(sorted))
async def test_trimmed_at_any_point_the_later_facts_are_the_same_bytes(shares, whole):
    async with trimmed(lambda clock: MemoryLog(clock=clock), shares, movement=len(shares) % 2 == 0) as day:
        expected, found = await whole.facts(), await day.facts()
        made = await day.log.cuts(day.site.name)
        assert {position: text for position, text in found.items() if expected[position] != text} == {}
        assert {position for position in expected if position > made.movement} <= set(found)


async def test_a_resend_of_what_was_cut_changes_nothing(store):
    async with trimmed(store, [(0.8, 0.5)]) as day:
        heads = await day.log.heads(day.site.name)
        made = (await day.log.cuts(day.site.name)).observations
        receipts = [
            one for start in range(0, len(day.events), 500) for one in await day.log.append(day.events[start : start + 500])
        ]
        assert {one.outcome for one in receipts} == {Outcome.EXPIRED, Outcome.DUPLICATE}
        assert sum(one.outcome is Outcome.EXPIRED for one in receipts) == made
        assert await day.log.heads(day.site.name) == heads


async def test_the_fold_goes_on_from_the_anchor_when_it_has_no_snapshot():
    async with trimmed(lambda clock: MemoryLog(clock=clock), [(1.0, 0.5)]) as day:
        name = day.site.name
        made = (await day.log.cuts(name)).observations
        await day.log.drop_snapshots(name, SNAPSHOT_KIND, below=2**62)
        fold, head = Fold(day.site), (await day.log.heads(name)).cursor
        assert fold.pack(await state_at(day.log, day.keys, fold, made)) == (await day.log.cuts(name)).anchor.state
        with pytest.raises(Cut, match=f"begin after {made}"):
            await state_at(day.log, day.keys, fold, made - 1)
        await day.folded()
        assert (await day.log.heads(name)).cursor == head


class NextFold(Fold):
    version = f"{FOLD_VERSION} and after"


async def test_another_version_of_the_fold_says_what_it_cannot_do_and_begins_afresh_when_told_to():
    async with trimmed(lambda clock: MemoryLog(clock=clock), [(1.0, 0.5)]) as day:
        name, fold = day.site.name, NextFold(day.site)
        with pytest.raises(
            FoldMismatch, match=f"is of fold version {FOLD_VERSION}; version {NextFold.version} cannot go on.*twin log afresh"
        ):
            await day.folded(fold)
        with pytest.raises(FoldMismatch, match="which may give other facts"):
            await check(day.log, day.keys, fold)
        made, body = (await day.log.cuts(name)).observations, fold.pack(fold.initial())
        await day.log.save_snapshot(
            Snapshot(site=name, kind=SNAPSHOT_KIND, version=version_of(fold), position=made, at=0, body=body)
        )
        await day.folded(fold)


async def test_another_configuration_goes_on_from_the_anchor_and_says_so(caplog):
    async with trimmed(lambda clock: MemoryLog(clock=clock), [(1.0, 0.5)]) as day:
        fold = Fold(day.site)
        fold.config_hash = "another"
        await day.folded(fold)
        assert "concluded with another site model" in caplog.text
        with pytest.raises(FoldMismatch):
            await check(day.log, day.keys, fold)


async def test_a_dry_run_says_what_a_trim_would_do_and_does_nothing():
    async with trimmed(lambda clock: MemoryLog(clock=clock), [(1.0, 0.0)]) as day:
        before = day.events[0].occurred_at + 60 * SECOND
        planned = await day.retention.trim(before=before, movement_before=before, dry_run=True)
        assert (await day.log.cuts(day.site.name)).number == 0
        told = []
        done = await day.retention.trim(before=before, movement_before=before, told=lambda n, of: told.append((n, of)))
        assert done == planned
        assert planned.observations > 0 < planned.movement
        assert told[-1] == (planned.observations, planned.observations)


async def test_a_subscription_that_lags_keeps_movement_and_is_named():
    async with trimmed(lambda clock: MemoryLog(clock=clock), [(1.0, 0.0)]) as day:
        name, before = day.site.name, day.events[0].occurred_at + 60 * SECOND
        lagging = Subscription(site=name, name="slow", filter=Filter(), most_attempts=5, created_at=0, read_to=20)
        await day.subscriptions.change(name, "slow", lambda _: (lagging, None))
        told = await day.retention.trim(before=before, movement_before=before)
        assert (told.movement, told.held_by) == (20, "slow")


async def test_a_service_trims_at_the_states_that_its_fold_saved_on_the_way(store):
    clock = Clock()
    day = Day(store(clock), clock)
    keep = Keep(observations_days=40 / 86_400, movement_days=50 / 86_400)
    running = asyncio.create_task(day.retention.run(keep, every_s=0.001))
    for start in range(0, len(day.events), 100):
        await day.live(start, min(start + 100, len(day.events)))
        await asyncio.sleep(0.1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    made = await day.log.cuts(day.site.name)
    assert made.number >= 3
    assert made.anchor is not None
    assert 0 < made.observations <= await day.log.observed_at(day.site.name, clock.at - 40 * SECOND)
    assert 0 < made.movement <= made.anchor.facts
    await check(day.log, day.keys, Fold(day.site))
    await day.store.aclose()
