import asyncio
import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.errors import CodecError
from twin.events.codec import canonical_json
from twin.log.sql import SqlLog
from twin.projections.naive import replay
from twin.projections.strips import index as index_module
from twin.projections.strips.counts import Block
from twin.projections.strips.index import StripIndex
from twin.projections.strips.opened import OpenStrips
from twin.projections.strips.shelf import COUNTS_KIND, DIRECTORY_KIND, EMPTY, STRIP_KIND
from twin.projections.strips.strip import pack_strip, unpack_read, unpack_strip
from twin.projections.timeline import Timeline

ROW = st.tuples(st.integers(0, 13), st.integers(0, 29), st.integers(0, 11), st.integers(0, 60).map(lambda n: n if n < 6 else 0))
PARTS = st.lists(st.lists(ROW, min_size=1, max_size=25), min_size=1, max_size=4)
MOMENTS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(-500, 100).map(lambda n: n * 100_000)), st.integers(0, 100)),
    min_size=1,
    max_size=8,
)


def timeline_of(log, lot, strip_facts=3, settle=0):
    made = Timeline(log, lot)
    made.strips = StripIndex(log, lot, made.version, strip_facts=strip_facts, settle=settle)
    return made


async def built(timeline):
    while await timeline.strips.build():
        pass


def moments(story, asked, head):
    return [(None if at is None else story.noon + at, min(known, head)) for at, known in asked]


async def check(log, lot, timeline, asked):
    for at, known in asked:
        expected = canonical_json(await replay(log, lot, at=at, known_at=known))
        assert canonical_json(await timeline.state(at, known)) == expected, (at, known)
        assert await timeline.state_json(at, known) == expected, (at, known)


@settings(max_examples=150, deadline=None)
@given(parts=PARTS, asked=MOMENTS, builds=st.integers(0, 15), facts=st.integers(1, 6), settle=st.sampled_from([0, 900_000]))
def test_strips_give_the_naive_fold_whenever_they_were_built(lot, story, parts, asked, builds, facts, settle):
    async def compare():
        events = story.any([row for part in parts for row in part])
        log = await story.log()
        timeline, n = timeline_of(log, lot, facts, settle), 0
        for number, part in enumerate(parts):
            await story.add(log, events[n : n + len(part)])
            n += len(part)
            if builds >> number & 1:
                await built(timeline)
            await check(log, lot, timeline, moments(story, asked, n))
            await check(log, lot, timeline_of(log, lot, facts, settle), moments(story, asked, n))

    asyncio.run(compare())


@settings(max_examples=40, deadline=None)
@given(parts=PARTS, asked=MOMENTS, lost=st.integers(0, 2), damaged=st.booleans())
def test_lost_and_damaged_strips_are_made_again(lot, story, parts, asked, lost, damaged):
    async def compare():
        rows = [row for part in parts for row in part]
        log = await story.log(story.any(rows))
        await built(timeline_of(log, lot))
        kind = (STRIP_KIND, DIRECTORY_KIND, COUNTS_KIND)[lost]
        kept = await log.load_snapshots("lot", kind, timeline_of(log, lot).version, until_position=2**62, limit=999)
        await log.drop_snapshots("lot", kind, below=2**62)
        for one in kept if damaged else ():
            await log.save_snapshot(replace(one, body=one.body[:-1]))
        after = timeline_of(log, lot)
        await check(log, lot, after, moments(story, asked, len(rows)))
        await built(after)
        await check(log, lot, after, moments(story, asked, len(rows)))
        await check(log, lot, timeline_of(log, lot), moments(story, asked, len(rows)))

    asyncio.run(compare())


@settings(max_examples=40, deadline=None)
@given(parts=PARTS, asked=MOMENTS, after=st.integers(0, 12), unsaved=st.integers(0, 3))
def test_a_build_that_is_cut_off_anywhere_leaves_strips_that_can_be_gone_on_with(lot, story, parts, asked, after, unsaved):
    async def compare():
        events = story.any([row for part in parts for row in part])
        half = len(events) // 2
        log = await story.log(events[:half])
        await built(timeline_of(log, lot))
        await story.add(log, events[half:])
        save, n_saved = log.save_snapshots, 0

        async def failing(snapshots, *, instead_of):
            nonlocal n_saved
            n_saved += 1
            if n_saved > after:
                raise asyncio.CancelledError
            return await save(snapshots, instead_of=instead_of)

        log.save_snapshots = failing
        with contextlib.suppress(asyncio.CancelledError):
            await built(timeline_of(log, lot))
        log.save_snapshots = save
        fresh = timeline_of(log, lot)
        await check(log, lot, fresh, moments(story, asked, len(events)))
        await built(fresh)
        await check(log, lot, timeline_of(log, lot), moments(story, asked, len(events)))

    most, index_module._MOST_UNSAVED = index_module._MOST_UNSAVED, unsaved
    try:
        asyncio.run(compare())
    finally:
        index_module._MOST_UNSAVED = most


async def test_reads_side_by_side_with_a_log_that_grows_and_strips_that_are_lost_are_right(lot, story):
    rows = [(n % 14, n * 7 % 30, n * 5 % 12, 3 if n % 9 == 0 else 0) for n in range(400)]
    events = story.any(rows)
    log = await story.log(events[:100])
    timeline = timeline_of(log, lot)
    wrong = []

    async def grow():
        for start in range(100, 400, 20):
            await story.add(log, events[start : start + 20])
            await timeline.strips.build()
            if start % 80 == 20:
                await log.drop_snapshots("lot", STRIP_KIND, below=2**62)
            await asyncio.sleep(0)

    async def read(number):
        for step in range(12):
            head = (await log.heads("lot")).facts
            at, known = story.noon + (number * 700 + step * 3_000) * 1_000, head - number * step % 50
            if canonical_json(await timeline.state(at, known)) != canonical_json(await replay(log, lot, at=at, known_at=known)):
                wrong.append((at, known))
            await asyncio.sleep(0)

    await asyncio.gather(grow(), *(read(number) for number in range(8)))
    assert not wrong


async def test_a_read_that_waits_while_a_strip_changes_does_not_hide_the_change_from_later_reads(lot, story):
    events = story.any([(0, n, 0, 0) for n in range(30)])
    log = await story.log(events)
    timeline = timeline_of(log, lot)
    await built(timeline)
    load, reached, go_on = log.load_snapshot, asyncio.Event(), asyncio.Event()

    async def waiting(site, kind, *args, **given):
        found = await load(site, kind, *args, **given)
        if kind == STRIP_KIND and not reached.is_set():
            reached.set()
            await go_on.wait()
        return found

    log.load_snapshot = waiting
    at = story.noon + 1_000_000
    reading = asyncio.create_task(timeline.state(at, 30))
    await reached.wait()
    await story.add(log, [story.event(31, story.confirmed("late", 7.0), at=0.95)])
    await built(timeline)
    go_on.set()
    assert canonical_json(await reading) == canonical_json(await replay(log, lot, at=at, known_at=30))
    await check(log, lot, timeline, [(at, 31), (at, 30)])


async def test_two_processes_that_save_strips_of_one_log_go_on_from_each_other(lot, story):
    rows = [(n % 14, n * 7 % 30, n * 5 % 12, 3 if n % 9 == 0 else 0) for n in range(1_800)]
    events, log, dropped = story.any(rows), await story.log(), []
    drop = log.drop_snapshots

    async def counting(site, kind, **given):
        dropped.append(kind)
        return await drop(site, kind, **given)

    log.drop_snapshots = counting
    one, other = timeline_of(log, lot, 50), timeline_of(log, lot, 50)
    for start in range(0, 1_800, 600):
        await one.strips.build()
        await other.strips.build()
        await story.add(log, events[start : start + 600])
        for timeline in (one, other) if start % 1_200 == 0 else (other, one):
            await built(timeline)
        asked = [(story.noon + n * 10_000_000, start + 600 - n * 7) for n in range(0, (start + 600) // 100 * 10, 13)]
        asked = [(at, known) for at, known in asked if known > 0][:12]
        for timeline in (one, other):
            assert timeline.strips.built_to == start + 600
            await check(log, lot, timeline, asked)
    assert not dropped


async def test_two_that_each_hold_themselves_for_the_only_one_lose_no_facts(lot, story):
    rows = [(n % 3, n * 7 % 30, 0, 0) for n in range(230)]
    events = story.any(rows)
    log = await story.log(events[:210])

    @contextlib.asynccontextmanager
    async def lost(site, doing):  # its connection, and with it the knowledge that another one builds
        yield True

    log.sole = lost
    one, other = timeline_of(log, lot, 50), timeline_of(log, lot, 50)
    save, reached, go_on = one.strips._shelf.save, asyncio.Event(), asyncio.Event()
    kept = []

    async def waiting(*written):
        if not reached.is_set():
            reached.set()
            await go_on.wait()
        kept.append(await save(*written))
        return kept[-1]

    one.strips._shelf.save = waiting
    slow = asyncio.create_task(one.strips.build())
    await reached.wait()
    await story.add(log, events[210:])
    await built(other)
    go_on.set()
    await slow
    assert kept == [False]
    asked = [(None, 230), *((story.noon + n * 1_000_000, 230 - n) for n in range(0, 23, 3))]
    for timeline in (other, timeline_of(log, lot, 50), one):
        await check(log, lot, timeline, asked)
        await built(timeline)
        await check(log, lot, timeline, asked)


async def test_strips_that_are_unlike_their_directory_for_good_are_made_again(lot, story):
    log = await story.log(story.any([(n % 14, n % 30, 0, 0) for n in range(60)]))
    timeline = timeline_of(log, lot)
    await built(timeline)
    kept = await log.load_snapshots("lot", STRIP_KIND, timeline.version, until_position=2**62, limit=999)
    middle = sorted(kept, key=lambda one: one.at)[2]
    strip = unpack_strip(middle.body)
    await log.save_snapshot(replace(middle, body=pack_strip(replace(strip, until_at=strip.until_at + 1))))
    late = story.event(61, story.confirmed("late", 7.0), at=(strip.until_at - story.noon) / 1_000_000)
    await story.add(log, [late])
    for _ in range(10):
        if not await timeline.strips.build():
            break
    assert timeline.strips.built_to == 61
    await check(log, lot, timeline, [(strip.until_at, 61), (None, 61)])


async def test_a_damaged_strip_behind_some_that_are_saved_midway_is_made_again(lot, story, monkeypatch):
    monkeypatch.setattr(index_module, "_MOST_UNSAVED", 1)
    log = await story.log(story.any([(n % 14, n % 30, 0, 0) for n in range(60)]))
    timeline = timeline_of(log, lot)
    await built(timeline)
    kept = await log.load_snapshots("lot", STRIP_KIND, timeline.version, until_position=2**62, limit=999)
    early = sorted(kept, key=lambda one: one.at)[1:8]
    assert len(early) == 7 < len(kept) - 1
    await log.save_snapshot(replace(early[-1], body=b"damaged"))  # the directory that is read in ends with another one
    late = [(n, (one.at - story.noon) / 1e6) for n, one in enumerate(early)]
    await story.add(log, [story.event(61 + n, story.confirmed(f"late{n}", 7.0), at=at) for n, at in late])
    for _ in range(10):
        if not await timeline.strips.build():
            break
    assert timeline.strips.built_to == 67
    await check(log, lot, timeline, [(early[3].at, 67), (None, 67)])


async def test_late_facts_of_one_thing_are_taken_in_in_turn_with_others(lot, story):
    early = [story.event(n, story.confirmed(f"v{n % 9}", float(n % 70)), at=n * 0.1) for n in range(1, 301)]
    log = await story.log(early)
    timeline = timeline_of(log, lot, 100)
    await built(timeline)
    late = [story.event(n, story.moved("v1", float(n % 70)), at=5.0 + n * 0.0001) for n in range(301, 801)]
    await story.add(log, late)
    n_turns, building = 0, asyncio.create_task(built(timeline))
    while not building.done():
        n_turns += 1
        await asyncio.sleep(0)
    await building
    assert n_turns > 40  # 500 positions of 500 facts, twice
    await check(log, lot, timeline, [(None, 800), (story.noon + 5_060_000, 700), (story.noon + 5_060_000, 800)])


async def test_a_strip_in_the_middle_that_late_facts_made_large_is_cut_up_and_serves_all_knowledge(lot, story):
    early = [story.event(n, story.confirmed(f"v{n % 9}", float(n % 70)), at=n * 0.1) for n in range(1, 201)]
    log = await story.log(early)
    timeline = timeline_of(log, lot, 20)
    await built(timeline)
    n_before = len(timeline.strips._directory.windows)
    late = [story.event(n, story.moved(f"v{n % 9}", float(n % 70)), at=5.0 + (n * 37 % 100) * 0.01) for n in range(201, 401)]
    late += [story.event(n, story.stall(f"s{n % 8}", "occupied", "v1"), at=5.0) for n in range(401, 461)]  # one instant
    await story.add(log, late)
    reader = timeline_of(log, lot, 20)
    await check(log, lot, reader, [(story.noon + 5_400_000, 300)])  # it has the directory of before
    await built(timeline)
    windows = timeline.strips._directory.windows
    assert len(windows) > n_before + 5
    assert [one.position for one in windows] == sorted(one.position for one in windows)
    assert [one.at for one in windows] == sorted({one.at for one in windows})
    n_facts = [len(unpack_strip(await timeline.strips._packed(one)).facts) for one in windows]
    assert max(n_facts) <= 2 * 20 + 60
    asked = [(story.noon + at * 100_000, known) for at in range(46, 70, 2) for known in (40, 60, 199, 230, 330, 430, 460)]
    for one in (timeline, timeline_of(log, lot, 20), reader):
        await check(log, lot, one, asked)


async def test_what_is_far_behind_is_folded_and_not_taken_in_by_a_read(lot, story):
    log = await story.log(story.any([(0, n, 0, 0) for n in range(30)]))
    timeline = Timeline(log, lot)
    timeline.strips = StripIndex(log, lot, timeline.version, strip_facts=5, settle=0, most_behind=20)
    assert await timeline.state() == await replay(log, lot)
    assert timeline.strips.built_to == 0
    assert await timeline.state(None, 20) == await replay(log, lot, known_at=20)
    assert timeline.strips.built_to == 20
    await built(timeline)
    assert await timeline.state() == await replay(log, lot)


async def test_strips_on_disk_serve_another_process(lot, story, tmp_path):
    events = story.any([(n % 14, n % 30, n % 12, 2 if n % 7 == 0 else 0) for n in range(120)])
    log = SqlLog.open(tmp_path / "log.db")
    try:
        await story.add(log, events[:90])
        await built(timeline_of(log, lot))
        await story.add(log, events[90:])
        reading = SqlLog.open(tmp_path / "log.db", read_only=True)
        try:
            asked = [(None if n % 5 == 0 else story.noon + n * 90_000, n) for n in range(0, 121, 4)]
            await check(reading, lot, timeline_of(reading, lot), asked)
        finally:
            await reading.aclose()
    finally:
        await log.aclose()


@settings(max_examples=15, deadline=None)
@given(parts=PARTS, asked=MOMENTS)
def test_a_long_catch_up_that_defers_late_facts_gives_the_same(lot, story, parts, asked):
    async def compare():
        rows = [row for part in parts for row in part]
        log = await story.log(story.any(rows))
        timeline = timeline_of(log, lot)
        await built(timeline)
        await check(log, lot, timeline, moments(story, asked, len(rows)))
        await check(log, lot, timeline_of(log, lot), moments(story, asked, len(rows)))

    batch, index_module.BATCH = index_module.BATCH, 7
    try:
        asyncio.run(compare())
    finally:
        index_module.BATCH = batch


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.integers(-2, 2)), min_size=1, max_size=300),
    asked=st.lists(st.tuples(st.integers(-1, 31), st.integers(0, 301)), min_size=1, max_size=8),
)
def test_a_block_of_counts_sums_the_notes_until_both_times(rows, asked):
    notes = np.array([(n + 1, at, count, by) for n, (at, count, by) in enumerate(rows)], dtype=np.int64)
    block = Block(notes, 6)
    for at, position in asked:
        expected = [sum(by for p, t, c, by in notes.tolist() if p <= position and t <= at and c == count) for count in range(6)]
        assert block.until(at, position, 6).tolist() == expected


def test_open_strips_are_forgotten_oldest_first_once_they_are_more_than_so_many_bytes():
    kept = OpenStrips(most_bytes=400)
    for n in (1, 2, 3, 4):
        kept.keep(("lot", n), EMPTY, 25)  # 100 bytes of memory each
    assert kept.get(("lot", 1)) is EMPTY
    kept.keep(("other", 5), EMPTY, 50)
    assert [n for n in (1, 2, 3, 4) if kept.get(("lot", n)) is not None] == [1, 4]
    assert kept.n_bytes == 400
    kept.keep(("lot", 4), EMPTY, 101)  # more than all may be: what was kept of it is old
    assert kept.get(("lot", 4)) is None
    kept.drop_all("lot")
    assert (kept.get(("lot", 1)), kept.n_bytes) == (None, 200)
    assert kept.get(("other", 5)) is EMPTY


async def test_sites_without_room_for_an_open_strip_read_it_each_time(lot, story):
    rows = [(n % 14, n * 7 % 30, n * 5 % 12, 3 if n % 9 == 0 else 0) for n in range(120)]
    log = await story.log(story.any(rows))
    await built(timeline_of(log, lot))
    kept = OpenStrips(most_bytes=0)
    reading = Timeline(log, lot, opened=kept)
    await check(log, lot, reading, [(None if n % 5 == 0 else story.noon + n * 90_000, n) for n in range(0, 121, 10)])
    assert kept.n_bytes == 0


async def test_a_state_now_is_served_from_strips_that_were_built_by_a_read(lot, story):
    log = await story.log(story.any([(n % 14, n % 30, 0, 0) for n in range(40)]))
    timeline = timeline_of(log, lot)
    await timeline.state()
    assert timeline.strips.built_to == 40


@pytest.mark.parametrize("body", [b"", b"no strip", b"\x28\xb5\x2f\xfd"])
def test_what_is_no_strip_is_told_and_not_raised_as_another_error(body):
    for unpack in (unpack_strip, unpack_read):
        with pytest.raises(CodecError, match="will be made again"):
            unpack(body)
