from __future__ import annotations

from math import inf

import pytest

from retrieval.places import CameraDistances
from retrieval.whereabouts import Clocks, Whereabouts
from twin.events.envelope import FactEvent
from twin.events.facts import ClockEstimated, VehicleConfirmed, VehicleHidden, VehicleParked
from twin.log.port import FoldCommit
from twin.projections.moment import Moment
from twin.projections.timeline import Timeline

NOON = 1_767_268_800_000_000
SECOND = 1_000_000
SPREAD = (0.1, 0.0, 0.1)


async def filled(seen, street, *payloads):
    """A fact a second from noon on; no observation caused them."""
    token = await seen.memory.acquire("street", "w")
    facts = tuple(
        FactEvent(site="street", fold_version="f", cause=1, ordinal=n, occurred_at=NOON + n * SECOND, payload=payload)
        for n, payload in enumerate(payloads)
    )
    await seen.log.append([seen.tick(0)])
    await seen.memory.commit(FoldCommit(token=token, after=0, cursor=1, facts=facts))
    return Whereabouts(seen.memory, Timeline(seen.memory, street), CameraDistances(street)), len(facts)


def confirmed(vehicle, x):
    return VehicleConfirmed(
        vehicle=vehicle, kind="car", level="ground", position_m=(x, 5.0), covariance_m2=SPREAD, zone="first"
    )


async def test_places_are_those_of_the_moment_as_seen_from_a_camera(seen, street):
    parked = VehicleParked(vehicle="b", level="ground", position_m=(20.0, 5.0), covariance_m2=SPREAD, zone="first")
    hidden = VehicleHidden(vehicle="c", level="ground", position_m=(60.0, 5.0), zone="first")
    told = [confirmed("a", 5.0), confirmed("b", 20.0), parked, confirmed("c", 60.0), hidden]
    whereabouts, head = await filled(seen, street, *told)
    then = Moment(at=NOON + 60 * SECOND, known_at=head)
    places = await whereabouts.places(then, "west")  # which sees the first ten metres
    assert (places["a"].to_view_m, places["a"].is_seen) == (0.0, False)  # nothing was said of it for a minute
    assert (places["b"].to_view_m, places["b"].is_seen, places["b"].is_parked) == (pytest.approx(10.0), True, True)
    assert (places["c"].is_seen, places["c"].seen_at, places["c"].where) == (False, NOON + 4 * SECOND, "first")
    assert set(await whereabouts.places(Moment(at=NOON, known_at=head), "west")) == {"a"}


async def test_what_nobody_knows_of_a_camera_places_nobody(seen, street):
    whereabouts, head = await filled(seen, street, confirmed("a", 5.0))
    assert await whereabouts.places(Moment(at=NOON, known_at=head), "attic") == {}


def test_another_level_is_infinitely_far(street):
    assert CameraDistances(street).to_view_m("west", "roof", (5.0, 5.0)) == inf


async def test_a_cameras_times_are_put_right_by_what_was_known_of_its_clock(seen, street):
    told = [ClockEstimated(camera="west", offset_us=500), ClockEstimated(camera="west", offset_us=-200)]
    whereabouts, head = await filled(seen, street, *told)
    clocks = await whereabouts.clocks(head)
    assert clocks.corrected("west", NOON + 5 * SECOND) == NOON + 5 * SECOND - 200
    assert clocks.corrected("west", NOON + SECOND // 2) == NOON + SECOND // 2 + 500
    assert clocks.corrected("west", NOON - SECOND) == NOON - SECOND + 500  # by what was known first
    assert clocks.corrected("east", NOON) == NOON
    assert clocks.farthest_us == 500
    assert (await whereabouts.clocks(1)).corrected("west", NOON + 5 * SECOND) == NOON + 5 * SECOND + 500
    assert Clocks({}).farthest_us == 0
