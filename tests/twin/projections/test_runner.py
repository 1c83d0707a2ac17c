import asyncio

import pytest

from twin.errors import LogClosed
from twin.projections import runner as runner_module
from twin.projections.naive import replay
from twin.projections.runner import SnapshotRunner
from twin.projections.timeline import KIND, Timeline


async def snapshots(log, timeline):
    return await log.load_snapshots("lot", KIND, timeline.version, until_position=2**62)


async def test_graphs_are_saved_as_the_log_grows_and_serve_reads(lot, story):
    log = await story.log([story.event(1, story.confirmed(), at=1)])
    timeline = Timeline(log, lot)
    runner = asyncio.create_task(SnapshotRunner(log, timeline, every=10, settle=2_000_000).run())
    await story.add(log, [story.event(n, story.moved(x=float(n)), at=n) for n in range(2, 31)])
    async with asyncio.timeout(5):
        while not (kept := await snapshots(log, timeline)):  # noqa: ASYNC110 - snapshots are no event
            await asyncio.sleep(0)
    saved = kept[0]
    assert saved.position == 30
    assert saved.at == story.noon + 28_000_000
    assert await timeline.state() == await replay(log, lot)
    await log.aclose()
    await runner


async def test_the_runner_goes_on_after_the_last_snapshot(lot, story):
    log = await story.log([story.event(n, story.moved(), at=n) for n in range(1, 21)])
    timeline = Timeline(log, lot)
    for total in (20, 25):
        if total > 20:
            await story.add(log, [story.event(n, story.moved(), at=n) for n in range(21, 26)])
        running = asyncio.create_task(SnapshotRunner(log, timeline, every=10, settle=0).run())
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    # Five more facts are too few for another one.
    assert [saved.position for saved in await snapshots(log, timeline)] == [20]


async def test_a_save_that_keeps_failing_ends_the_runner(lot, story, monkeypatch):
    monkeypatch.setattr(runner_module, "RETRY_S", (0.0, 0.0))
    log = await story.log([story.event(n, story.moved(), at=n) for n in range(1, 3)])
    timeline, n_tries = Timeline(log, lot), 0

    async def failing(snapshot):
        nonlocal n_tries
        n_tries += 1
        await story.add(log, [story.event(10 + n_tries, story.moved(), at=10 + n_tries)])
        raise LogClosed("the disk is gone")

    log.save_snapshot = failing
    with pytest.raises(LogClosed):
        await asyncio.wait_for(SnapshotRunner(log, timeline, every=1, settle=0).run(), 5)
    assert n_tries == 3
