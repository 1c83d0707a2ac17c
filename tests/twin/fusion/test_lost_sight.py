"""A vehicle that is about to leave and is not seen any more: gone, if a camera looked; if it fell silent, only out of sight."""

import pytest
from msgspec.structs import replace
from tracks import car, view

from twin.events.facts import PortalCrossed, VehicleHidden, VehicleLeft, VehicleMoved, VehicleParked
from twin.events.ids import SECOND
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.portals import extrapolated
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrailPoint
from twin.fusion.trails import extend_trail

T0 = 1_767_268_800 * SECOND
RED = view(1.0)


@pytest.fixture
def leaving():
    """Three metres before the exit of the lot, at 3 m/s."""
    motion = replace(born(T0, 77.0, 3.0, (0.1, 0.0, 0.1), 1.0), vx=3.0)
    return car(1, T0, 77.0, 3.0, motion=motion, has_entered=True, trail=(TrailPoint(T0, 77.0, 3.0),))


def lost(lot, track, looked_at, taken=()):
    emission = Emission("lot", "2", 1, lambda _: [])
    Draft(FusionState(), Scene(lot, DEFAULTS), emission).life.lose_sight(track, looked_at, taken)
    return [type(fact.payload) for fact in emission.facts], track.status


def test_a_camera_that_looked_when_it_must_have_been_gone_saw_it_leave(lot, leaving):
    assert lost(lot, leaving, T0 + SECOND) == ([PortalCrossed, VehicleLeft], "left")


@pytest.mark.parametrize("looked_at", [T0, T0 + SECOND // 2])
def test_a_camera_that_fell_silent_before_says_nothing_of_its_leaving(lot, leaving, looked_at):
    assert lost(lot, leaving, looked_at) == ([VehicleHidden], "hidden")


@pytest.fixture
def parking(leaving):
    """In the mouth of stall s1, at 1 m/s."""
    leaving.motion = replace(born(T0, 7.5, 7.0, (0.1, 0.0, 0.1), 1.0), vy=1.0)
    leaving.trail = (TrailPoint(T0, 7.5, 7.0),)
    return leaving


def test_who_drove_slowly_into_a_stall_is_parked_there_though_nobody_sees_it_stand(lot, parking):
    assert lost(lot, parking, T0 + SECOND) == ([VehicleParked], "parked")
    assert (parking.stall, parking.looks) == ("s1", {})
    centre = Scene(lot, DEFAULTS).centre_m["s1"]
    assert (parking.motion.x, parking.motion.y) == centre, "not where it was last seen, in the mouth"


def test_but_not_in_another_ones_stall(lot, parking):
    assert lost(lot, parking, T0 + SECOND, taken={"s1"}) == ([VehicleHidden], "hidden")


def test_nor_whoever_has_just_come_out_of_one(lot, parking):
    parking.stood = TrailPoint(T0 - 5 * SECOND, 7.5, 8.5)
    assert lost(lot, parking, T0 + SECOND) == ([VehicleHidden], "hidden")


def test_who_stood_a_while_ago_elsewhere_has_not_come_out_of_it(lot, parking):
    parking.stood = TrailPoint(T0 - 15 * SECOND, 0.0, -3.0)
    assert lost(lot, parking, T0 + SECOND) == ([VehicleParked], "parked")


def test_nor_whoever_is_fast(lot, parking):
    parking.motion = replace(parking.motion, vy=4.0)
    assert lost(lot, parking, T0 + SECOND) == ([VehicleHidden], "hidden")


def test_who_halts_on_a_portals_line_is_counted_when_it_goes_on(lot, leaving):
    emission = Emission("lot", "2", 1, lambda _: [])
    life = Draft(FusionState(), Scene(lot, DEFAULTS), emission).life
    leaving.trail = ()
    for number in range(120):  # up to 0.1 m beyond the exit's line, there for 8 s, then on
        x = min(77.0 + 0.2 * number, 80.1) if number < 96 else 80.1 + 0.2 * (number - 95)
        leaving.motion = replace(leaving.motion, at=T0 + number * SECOND // 10, x=x, vx=0.5)
        extend_trail(leaving)
        life.check_portals(leaving)
    (crossed,) = [fact for fact in emission.facts if isinstance(fact.payload, PortalCrossed)]
    assert crossed.payload.portal == "exit"
    assert abs(crossed.occurred_at - (T0 + 15 * SECOND // 10)) < SECOND // 4, "when it came over the line, not when it went on"


@pytest.mark.parametrize(
    ("beyond_m", "crossed"),
    [(0.3, []), (2.0, []), (3.5, ["in"])],  # jitter; a jump that comes back; somebody who drives in at the exit
)
def test_against_a_portals_direction_only_who_is_well_beyond_it_has_crossed(lot, leaving, beyond_m, crossed):
    emission = Emission("lot", "2", 1, lambda _: [])
    life = Draft(FusionState(), Scene(lot, DEFAULTS), emission).life
    leaving.trail = ()
    for number in range(20):  # the inside of the exit is at smaller x
        leaving.motion = replace(
            leaving.motion, at=T0 + number * SECOND // 10, x=81.0 - number * (1.0 + beyond_m) / 19, vx=-2.0
        )
        extend_trail(leaving)
        life.check_portals(leaving)
    assert [one.payload.direction for one in emission.facts if isinstance(one.payload, PortalCrossed)] == crossed


def test_nobody_is_taken_to_have_come_in_where_one_only_leaves(lot):
    scene = Scene(lot, DEFAULTS)
    motion = replace(born(T0, 79.0, 3.0, (0.1, 0.0, 0.1), 1.0), vx=-3.0)
    track = Track(
        id=2,
        level="ground",
        status="tentative",
        motion=motion,
        kind="car",
        kind_scores={"car": 1.0},
        heading=(-1.0, 0.0),
        born_at=T0,
        first_m=(79.0, 3.0),
        is_inner_birth=False,
        hits=9,
        seen_at=T0,
        seen_by="right",
        trail=(TrailPoint(T0, 79.0, 3.0),),
    )
    given = {"within_us": 2 * SECOND, "is_backwards": True}
    assert extrapolated(track, scene.portals["ground"], **given) is None
    both = tuple(replace(one, direction="both") for one in scene.portals["ground"])
    assert extrapolated(track, both, **given).portal.id == "exit"


def test_who_is_found_again_beyond_the_exit_left_by_it(lot):
    """It crept over the line while boxes of others held its track before it; a new track began behind the line."""
    known = car(1, T0, 78.0, 3.0, status="parked", has_entered=True, absence=1.0, gallery=(RED,))
    newborn = replace(known, id=2, status="tentative", vehicle=None, has_entered=False, born_at=T0 + SECOND // 5)
    newborn.first_m, newborn.is_inner_birth, newborn.seen_at, newborn.sides = (81.0, 3.0), True, T0 + 2 * SECOND, {}
    newborn.motion = replace(born(T0 + 2 * SECOND, 85.0, 3.0, (0.1, 0.0, 0.1), 1.0), vx=2.0)
    newborn.trail = tuple(TrailPoint(T0 + SECOND // 5 + k * SECOND // 2, 81.0 + k, 3.0) for k in range(4))
    state = FusionState(tracks={1: known, 2: newborn}, watched_since={"right": T0 - 3_600 * SECOND})
    emission = Emission("lot", "2", 1, lambda _: [])
    scene = Scene(lot, DEFAULTS)
    found = Draft(state, scene, emission).life.confirm(newborn, state)
    assert found is not None
    crossed = next(one for one in emission.facts if isinstance(one.payload, PortalCrossed))
    assert (crossed.payload.vehicle, crossed.payload.portal, crossed.payload.direction) == ("v1", "exit", "out")
    assert T0 - SECOND <= crossed.occurred_at <= T0  # it crept: 3 m in 0.2 s would be 15 m/s
    speeds = [abs(one.payload.velocity_mps[0]) for one in emission.facts if isinstance(one.payload, VehicleMoved)]
    assert max(speeds) < 4.0
    assert newborn.status == "left"


def test_who_begins_before_a_gate_that_is_only_a_way_out_did_not_come_in(lot):
    scene = Scene(lot, DEFAULTS)
    assert scene.is_outside("ground", 82.0, 3.0)
    assert not scene.may_come_in("ground", 82.0, 3.0)
    assert scene.may_come_in("ground", -2.0, 3.0)
