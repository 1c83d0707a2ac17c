import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import BadInput
from twin.feeds.delta import conflated, difference, merge
from twin.feeds.present import Present
from twin.feeds.view import EVERYTHING, LIST_BY_KIND, LiveFilter, View, live_filter
from twin.projections.naive import replay

ROW = st.tuples(st.integers(0, 13), st.integers(0, 29), st.integers(0, 11), st.integers(0, 60).map(lambda n: n if n < 6 else 0))
ROWS = st.lists(ROW, min_size=2, max_size=24)
ZONES = st.none() | st.sets(st.sampled_from(["aisle", "road", "row_a", "row_b"]), min_size=1)
KINDS = st.none() | st.sets(st.sampled_from(sorted(LIST_BY_KIND)), min_size=1)


def sorted_or_none(names):
    return None if names is None else tuple(sorted(names))


def view_of(lot, zones=None, kinds=None):
    wanted = LiveFilter(zones=sorted_or_none(zones), kinds=sorted_or_none(kinds))
    return View(lot, wanted, Present(lot).cameras_by_zone())


async def states_of(log, site):
    head = (await log.heads("lot")).facts
    return [await replay(log, site, known_at=known_at) for known_at in range(head + 1)]


def states(lot, story, rows):
    async def told():
        return await states_of(await story.log(story.any(rows)), lot)

    return asyncio.run(told())


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, zones=ZONES, kinds=KINDS)
def test_what_a_view_lets_through_leads_to_what_it_shows(lot, story, rows, zones, kinds):
    view, (before, *after) = view_of(lot, zones, kinds), states(lot, story, rows)
    view.start(before)
    shown = view.state(before)
    for now in after:
        told = view.difference(difference(before, now))
        if told is not None:
            shown = merge(shown, told)
        assert shown == view.state(now) | {"position": shown["position"], "at": shown["at"]}
        before = now


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_many_differences_as_one_lead_to_the_same_state(lot, story, rows):
    first, *rest = states(lot, story, rows)
    deltas = [difference(before, after) for before, after in zip([first, *rest], rest, strict=False)]
    assert merge(first, conflated(deltas)) == rest[-1]


async def test_a_vehicle_that_leaves_the_zones_is_told_as_gone(lot, story):
    view = view_of(lot, zones={"aisle"})
    log = await story.log(story.events(story.confirmed(), story.moved(x=6.0, zone="road"), story.left()))
    _, inside, outside, gone = await states_of(log, lot)
    view.start(inside)
    assert [one["vehicle"] for one in view.state(inside)["vehicles"]] == ["v1"]
    left = view.difference(difference(inside, outside))
    assert (left["vehicles"], left["left"]) == ([], ["v1"])
    counted = view.difference(difference(outside, gone))  # the site's counters change, the view's vehicles do not
    assert (counted["left"], counted["counters"]["inside"]) == ([], 0)


async def test_nothing_that_fits_is_nothing_to_tell(lot, story):
    view = view_of(lot, kinds={"stall"})
    log = await story.log(story.events(story.confirmed(), story.moved(x=6.0)))
    _, before, after = await states_of(log, lot)
    view.start(before)
    assert view.difference(difference(before, after)) is None


async def test_zones_choose_their_stalls_and_the_cameras_that_see_them(lot, story):
    state = await replay(await story.log(), lot)
    shown = view_of(lot, zones={"row_b"}).state(state)
    assert {one["stall"] for one in shown["stalls"]} == {stall.id for stall in lot.stalls if stall.zone == "row_b"}
    assert [one["zone"] for one in shown["zones"]] == ["row_b"]
    sees = {name for name, zones in json.loads(json.dumps(SEES)).items() if "row_b" in zones}
    assert {one["camera"] for one in shown["cameras"]} == sees
    assert shown["portals"] == state["portals"]


SEES = {"left": ["row_a", "row_b", "aisle"], "right": ["row_a", "row_b", "aisle"]}


@pytest.mark.parametrize(
    ("zones", "kinds", "told"),
    [
        (None, None, EVERYTHING),
        ("row_b,aisle,row_b", None, LiveFilter(zones=("aisle", "row_b"))),
        (None, "vehicle,stall", LiveFilter(kinds=("stall", "vehicle"))),
        (None, "vehicle,stall,zone,camera,portal", EVERYTHING),
    ],
)
def test_the_same_names_are_the_same_filter(lot, zones, kinds, told):
    assert live_filter(lot, zones=zones, kinds=kinds) == told


@pytest.mark.parametrize(
    ("zones", "kinds", "message"), [("row_z", None, "has 'row_z'"), ("", None, "has ''"), (None, "car", "use of camera,")]
)
def test_a_name_that_is_not_known_is_refused_with_those_that_are(lot, zones, kinds, message):
    with pytest.raises(BadInput, match=message):
        live_filter(lot, zones=zones, kinds=kinds)
