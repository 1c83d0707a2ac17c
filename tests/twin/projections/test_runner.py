import asyncio

import pytest

from twin.errors import LogClosed
from twin.projections import runner as runner_module
from twin.projections.naive import replay
from twin.projections.runner import SnapshotRunner
from twin.projections.strips.index import StripIndex
from twin.projections.strips.shelf import STRIP_KIND, Shelf
from twin.projections.timeline import Timeline


def small(log, lot):
    timeline = Timeline(log, lot)
    timeline.strips = StripIndex(log, lot, timeline.version, strip_facts=10, settle=0)
    return timeline


async def saved_to(log, timeline):
    directory = await Shelf(log, "lot", timeline.version).directory()
    return 0 if directory is None else directory.built_to


async def until_saved(log, timeline, position):
    async with asyncio.timeout(5):
        while await saved_to(log, timeline) < position:  # noqa: ASYNC110 - snapshots are no event
            await asyncio.sleep(0)


async def test_strips_are_saved_as_the_log_grows_and_serve_reads(lot, story):
    log = await story.log([story.event(1, story.confirmed(), at=1)])
    timeline = small(log, lot)
    runner = asyncio.create_task(SnapshotRunner(log, timeline, every=10).run())
    await story.add(log, [story.event(n, story.moved(x=float(n)), at=n) for n in range(2, 31)])
    await until_saved(log, timeline, 30)
    kept = await log.load_snapshots("lot", STRIP_KIND, timeline.version, until_position=2**62)
    assert [strip.at for strip in kept][:2] == [story.noon + 20_000_000, story.noon + 10_000_000]
    assert await small(log, lot).state() == await replay(log, lot)
    await log.aclose()
    await runner


async def test_the_runner_goes_on_after_what_was_saved(lot, story):
    log = await story.log([story.event(n, story.moved(), at=n) for n in range(1, 21)])
    for total in (20, 25, 31):
        first = (await log.heads("lot")).facts + 1
        await story.add(log, [story.event(n, story.moved(), at=n) for n in range(first, total + 1)])
        timeline = small(log, lot)
        running = asyncio.create_task(SnapshotRunner(log, timeline, every=10).run())
        await until_saved(log, timeline, total)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_save_that_keeps_failing_ends_the_runner(lot, story, monkeypatch):
    monkeypatch.setattr(runner_module, "RETRY_S", (0.0, 0.0))
    log = await story.log([story.event(n, story.moved(), at=n) for n in range(1, 3)])
    n_tries = 0

    async def failing(snapshots, *, instead_of):
        nonlocal n_tries
        n_tries += 1
        raise LogClosed("the disk is gone")

    log.save_snapshots = failing
    with pytest.raises(LogClosed):
        await asyncio.wait_for(SnapshotRunner(log, Timeline(log, lot), every=1).run(), 5)
    assert n_tries == 3
