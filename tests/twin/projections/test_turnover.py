"""Series and turnover equal what the naive fold says at every instant; a lost camera empties no stall."""

import asyncio
from collections import defaultdict
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.errors import Contradiction, TooLarge
from twin.events.codec import micros, rfc3339
from twin.events.facts import IdentitiesMerged, SessionAmended, StallChanged
from twin.graph.coverage import PIECE_M2, pieces_by_stall
from twin.projections import turnover as turnover_module
from twin.projections.lengths import EDGES_S, lengths_view, quantile
from twin.projections.moment import Moment
from twin.projections.naive import folded, net_of
from twin.projections.series import occupancy_series
from twin.projections.sessions import names_within, sessions
from twin.projections.stalls_watched import StallsWatched
from twin.projections.timeline import Timeline
from twin.projections.turnover import stays_within, turnover

SECOND = 1_000_000
STALLS_AND_CAMERAS = (8, 8, 8, 8, 9, 9, 0, 10)  # what of ``Story._payload``: mostly what counts here
ROW = st.tuples(
    st.sampled_from(STALLS_AND_CAMERAS), st.integers(0, 26), st.sampled_from((0, 0, 0, 3, 4)), st.sampled_from((0, 0, 0, 1, 5))
)
ROWS = st.lists(ROW, min_size=25, max_size=50)
SPAN = st.tuples(st.integers(-30, 30), st.integers(5, 60), st.sampled_from((1.0, 0.9, 0.5)))


def facts_of(story, rows):
    """As ``Story.any``, but that few stalls are told of often, with one vehicle, another, or nobody who is known."""

    def told(payload, which):
        if not isinstance(payload, StallChanged):
            return payload
        state = ("occupied", "free", "unknown")[which // 3 % 3]
        vehicle = (None, "a", "b")[which // 9 % 3] if state == "occupied" else None
        return replace(payload, stall=("s0", "s3", "s5")[which % 3], state=state, vehicle=vehicle)

    events = story.any(rows)
    return [replace(one, payload=told(one.payload, row[1])) for one, row in zip(events, rows, strict=True)]


def asked(story, span, n_facts):
    """(from, until, known_at) of a stretch given in tenths of a second, and how much of the log is known."""
    begins, lasts, known = span
    from_at = story.noon + begins * 100_000
    return from_at, from_at + lasts * 100_000, round(known * n_facts)


def what(state, cameras_of):
    """(what each stall counts as, whether that is known) in a state, told by each stall's cameras one by one."""
    delivering = {one["camera"] for one in state["cameras"] if one["state"] == "active"}
    found = {}
    for one in state["stalls"]:
        is_seen = all(any(camera in delivering for camera in piece) for piece in cameras_of[one["stall"]])
        counts_as = one["state"] if one["state"] != "free" or is_seen else "unknown"
        found[one["stall"]] = counts_as, is_seen and one["state"] != "unknown"
    return found


def known_facts(log_facts, known):
    return [fact for fact in log_facts if fact.position <= known]


async def all_facts(log):
    return await log.facts("lot", after=0, limit=10_000)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, span=SPAN, step=st.integers(1, 4))
def test_a_series_counts_stalls_as_the_naive_fold_does_at_each_step(lot, story, rows, span, step):
    async def compare():
        log = await story.log(facts_of(story, rows))
        from_at, until_at, known = asked(story, span, len(rows))
        facts, cameras_of = known_facts(await all_facts(log), known), pieces_by_stall(lot)
        points = await occupancy_series(
            log, Timeline(log, lot), from_at=from_at, until_at=until_at, step=step * SECOND, known_at=known
        )
        for point in points:
            state = folded(lot, facts, at=micros(point["at"]), position=known)
            counted = what(state, cameras_of)
            for zone, of_state in zip(point["zones"], state["zones"], strict=True):
                stalls = [stall.id for stall in lot.stalls if stall.zone == zone["zone"]]
                told = [counted[stall][0] for stall in stalls]
                assert {name: zone[f"n_{name}"] for name in ("occupied", "free", "unknown")} == {
                    name: told.count(name) for name in ("occupied", "free", "unknown")
                }
                same = ("zone", "state", "n_vehicles", "n_stalls")
                assert [zone[name] for name in same] == [of_state[name] for name in same]
                assert zone["n_free"] <= of_state["n_free"]
            assert point["counters"] == state["counters"]

    asyncio.run(compare())


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, span=SPAN)
def test_stall_time_and_parkings_are_those_of_the_naive_fold_at_every_instant(lot, story, rows, span):
    async def compare():
        log = await story.log(facts_of(story, rows))
        from_at, until_at, known = asked(story, span, len(rows))
        facts = known_facts(await all_facts(log), known)
        told = await turnover(log, Timeline(log, lot), from_at=from_at, until_at=until_at, known_at=known)
        assert {one.zone for one in told.zones} == {"row_a", "row_b"}
        for zone in told.zones:
            time = stall_time(lot, facts, zone.zone, from_at, until_at)
            assert (zone.occupied_s, zone.free_s, zone.unknown_s, zone.known_s) == pytest.approx(time)
            assert zone.occupied_s + zone.free_s + zone.unknown_s == pytest.approx(
                zone.n_stalls * (until_at - from_at) / SECOND
            )
            n_arrivals, lengths, n_unmeasured = parkings(lot, facts, zone.zone, from_at, until_at)
            assert (zone.n_arrivals, zone.n_unmeasured) == (n_arrivals, n_unmeasured)
            assert zone.parkings == lengths_view(lengths)

    asyncio.run(compare())


def stall_time(lot, facts, zone, from_at, until_at):
    """Seconds that stalls were occupied, free, unknown, and known: state by state between two facts."""
    cameras_of, total = pieces_by_stall(lot), defaultdict(float)
    stalls = [stall.id for stall in lot.stalls if stall.zone == zone]
    within = sorted({one.event.occurred_at for one in facts if from_at < one.event.occurred_at < until_at})
    for begins, ends in pairwise([from_at, *within, until_at]):
        counted = what(folded(lot, facts, at=begins, position=0), cameras_of)
        for stall in stalls:
            counts_as, is_known = counted[stall]
            total[counts_as] += (ends - begins) / SECOND
            total["known"] += is_known * (ends - begins) / SECOND
    return tuple(total[name] for name in ("occupied", "free", "unknown", "known"))


def parkings(lot, facts, zone, from_at, until_at):
    """(arrivals, lengths, ended without a length) of one zone, stall by stall from its first fact on."""
    n_arrivals, lengths, n_unmeasured = 0, [], 0
    for stall in (one.id for one in lot.stalls if one.zone == zone):
        said = [
            (one.event.occurred_at, one.event.payload.state, one.event.payload.vehicle)
            for one in net_of(facts)
            if isinstance(one.event.payload, StallChanged) and one.event.payload.stall == stall
        ]
        runs, state = [], "unknown"  # of [began, vehicle, ended]
        for at, after, vehicle in (one for one in said if one[0] <= until_at):
            seen_at = None if state == "unknown" else at
            running = runs[-1] if runs and runs[-1][2] == "runs" else None
            if running and (after == "free" or (after == "occupied" and None is not running[1] != vehicle is not None)):
                running[2:] = [seen_at, at]
                running = None
            if after == "occupied" and running is None:
                runs.append([seen_at, vehicle, "runs"])
                n_arrivals += seen_at is not None and at > from_at
            elif after == "occupied":
                running[1] = running[1] or vehicle
            state = after
        for began, _, ended, *over_at in runs:
            if ended != "runs" and over_at[0] > from_at:
                if began is None or ended is None:
                    n_unmeasured += 1
                else:
                    lengths.append((ended - began) / SECOND)
    return n_arrivals, lengths, n_unmeasured


@pytest.fixture
def a_lost_camera(story):
    """Both cameras deliver and all is free; "left" is lost from 100 to 200 s, and nothing else is said of its stalls."""
    free = [story.event(3 + n, story.stall(f"s{n}", "free", None), at=1) for n in range(8)]
    return [
        story.event(1, story.camera("left"), at=0),
        story.event(2, story.camera("right"), at=0),
        *free,
        story.event(20, story.camera("left", "idle"), at=100),
        story.event(21, story.camera("left"), at=200),
    ]


async def told_of(log, lot, story, begins, ends, **more):
    times = {"from_at": story.noon + begins * SECOND, "until_at": story.noon + ends * SECOND}
    return await turnover(log, Timeline(log, lot), known_at=(await log.heads("lot")).facts, **times, **more)


async def test_stalls_that_a_lost_camera_looked_at_are_not_free_meanwhile(lot, story, a_lost_camera):
    log = await story.log(a_lost_camera)
    lost = StallsWatched(lot).unseen({"right"})
    assert lost == {"s0", "s1", "s2", "s3"}  # "right" looks at a piece of s3, and at all of s4
    points = await occupancy_series(
        log, Timeline(log, lot), from_at=story.noon + 50 * SECOND, until_at=story.noon + 250 * SECOND,
        step=50 * SECOND, known_at=12, zone="row_a",
    )  # fmt: skip
    assert [(one["zones"][0]["n_free"], one["zones"][0]["n_unknown"]) for one in points] == [
        (4, 0), (0, 4), (0, 4), (4, 0), (4, 0),
    ]  # fmt: skip
    (row_a,) = (await told_of(log, lot, story, 50, 250, zone="row_a")).zones
    assert (row_a.free_s, row_a.unknown_s, row_a.occupied_s, row_a.known_s) == (400.0, 400.0, 0.0, 400.0)
    assert row_a.occupied_share == 0.0


async def test_turnover_is_arrivals_for_each_stall_and_hour_that_was_known(lot, story, a_lost_camera):
    came = [
        story.event(n, story.stall("s0", *("occupied", f"v{n}") if n % 2 else ("free", None)), at=n * 10)
        for n in (22, 23, 24, 25)
    ]
    log = await story.log([*a_lost_camera[:-2], *came])
    (row_a,) = (await told_of(log, lot, story, 100, 1_000, zone="row_a")).zones
    assert (row_a.n_arrivals, row_a.known_s) == (2, 3_600.0)
    assert row_a.turnover_per_stall_h == pytest.approx(2.0)  # two, in one hour of four stalls for a quarter each
    assert (row_a.parkings.n, row_a.parkings.median_s) == (1, 10.0)


async def test_nothing_known_has_no_turnover_and_no_share(lot, story):
    log = await story.log([story.event(1, story.confirmed(), at=1)])
    for zone in (await told_of(log, lot, story, 0, 60)).zones:
        assert (zone.turnover_per_stall_h, zone.occupied_share, zone.unknown_s) == (None, None, 240.0)


async def test_two_names_of_one_vehicle_are_no_arrival(lot, story, a_lost_camera):
    merged = IdentitiesMerged(vehicle="v2", merged="v1")
    log = await story.log(
        [
            *a_lost_camera[:-2],
            story.event(22, story.stall("s0", "occupied", "v1"), at=220),
            story.event(23, merged, at=230),
            story.event(24, story.stall("s0", "occupied", "v2"), at=231),
            story.event(25, story.stall("s0", "free", None), at=300),
        ]
    )
    (row_a,) = (await told_of(log, lot, story, 100, 400, zone="row_a")).zones
    assert (row_a.n_arrivals, row_a.parkings.n, row_a.parkings.median_s) == (1, 1, 80.0)


async def test_since_when_somebody_stands_is_found_before_the_time_asked_for(lot, story, a_lost_camera, monkeypatch):
    log = await story.log(
        [
            *a_lost_camera[:-2],
            story.event(22, story.stall("s0"), at=220),
            story.event(23, story.stall("s0", "free", None), at=2_220),
        ]
    )
    (row_a,) = (await told_of(log, lot, story, 2_000, 3_000, zone="row_a")).zones
    assert (row_a.parkings.median_s, row_a.n_arrivals, row_a.n_unmeasured) == (2_000.0, 0, 0)
    monkeypatch.setattr(turnover_module, "LOOK_BACK", 60 * SECOND)
    (row_a,) = (await told_of(log, lot, story, 2_000, 3_000, zone="row_a")).zones
    assert (row_a.parkings.n, row_a.n_unmeasured) == (0, 1)


async def test_an_empty_time_and_too_many_facts_are_refused(lot, story, a_lost_camera, monkeypatch):
    log = await story.log(a_lost_camera)
    with pytest.raises(Contradiction, match="is not before"):
        await told_of(log, lot, story, 5, 5)
    monkeypatch.setattr(turnover_module, "MOST_FACTS", 3)
    with pytest.raises(TooLarge, match="ask for a shorter one"):
        await told_of(log, lot, story, 0, 300)


STAY = st.tuples(st.integers(10, 13), st.integers(0, 5), st.integers(0, 5), st.integers(0, 12).map(lambda n: n if n < 6 else 0))


def stays_of(story, rows):
    """As ``Story.any``, but that each fact of the last kind amends a stay: opens, ends or voids it."""

    def told(event, which):
        if event.payload.__struct_config__.tag != "observation.late.v1":
            return event.payload
        status, exit_at = [("open", None), ("closed", event.occurred_at), ("closed", story.noon + 4 * SECOND), ("void", None)][
            event.cause % 4
        ]
        names = {"session": f"p{which}", "vehicle": f"v{which}", "version": 2, "reason": "operator", "was": "open"}
        return SessionAmended(**names, status=status, entry_at=story.noon, exit_at=exit_at)

    events = story.any(rows)
    return [replace(one, payload=told(one, row[1])) for one, row in zip(events, rows, strict=True)]


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(STAY, min_size=10, max_size=50), span=SPAN)
def test_stays_of_a_time_are_those_of_all_times_that_touch_it(story, rows, span):
    async def compare():
        log = await story.log(stays_of(story, rows))
        from_at, until_at, known = asked(story, span, len(rows))
        touching = [
            one
            for one in await sessions(log, "lot", Moment(at=None, known_at=known))
            if one.status != "void"
            and (one.entry_at is None or micros(one.entry_at) <= until_at)
            and (one.exit_at is None or micros(one.exit_at) >= from_at)
        ]
        assert await stays_within(log, "lot", from_at=from_at, until_at=until_at, known_at=known) == touching

    asyncio.run(compare())


async def test_stays_that_were_over_before_are_not_held(lot, story, monkeypatch):
    over = [
        event
        for n in range(10)
        for event in (
            story.event(2 * n + 1, story.opened(f"p{n}", f"v{n}", at=n), at=n),
            story.event(2 * n + 2, story.closed(f"p{n}", f"v{n}", n, n + 0.5), at=n + 0.5),
        )
    ]
    log = await story.log([*over, story.event(30, story.opened("q", "w", at=20), at=20)])
    monkeypatch.setattr(turnover_module, "names_within", partial(names_within, most=3))
    monkeypatch.setattr(turnover_module, "sessions", partial(sessions, most=3))
    assert (await told_of(log, lot, story, 30, 60)).stays.n_entries == 0
    with pytest.raises(TooLarge, match="more than 3 stays"):
        await told_of(log, lot, story, 0, 60)


@given(found=st.lists(st.floats(0, 1e6), min_size=1, max_size=40).map(sorted), share=st.floats(0, 1))
def test_a_quantile_is_numpys_linear_one(found, share):
    assert quantile(found, share) == pytest.approx(float(np.quantile(found, share, method="linear")))


@given(found=st.lists(st.floats(0, 200_000), max_size=60))
def test_a_histogram_holds_each_length_once_and_in_its_bin(found):
    view = lengths_view(found)
    assert sum(one.n for one in view.histogram) == view.n == len(found)
    for one in view.histogram:
        assert one.n == sum(one.from_s <= length < (one.until_s or 1e9) for length in found)
    assert [one.from_s for one in view.histogram] == list(EDGES_S)
    assert (view.median_s is None) == (not found)


def test_a_stall_is_looked_at_by_whoever_covers_a_piece_that_could_hide_a_vehicle(lot):
    pieces = pieces_by_stall(lot)
    assert pieces["s0"] == (frozenset({"left"}),)
    assert pieces["s3"] == (frozenset({"left"}), frozenset({"left", "right"}))  # x 15..20, "right" from 18 on
    assert PIECE_M2 < (20 - 18) * 5
    assert rfc3339(0).startswith("1970")
