"""Where a vehicle was while nobody saw it."""

import pytest
from msgspec.structs import replace
from tracks import car

from site_models.schema import Lane, Level, Portal
from twin.events.facts import VehicleMoved
from twin.events.ids import SECOND
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, TrailPoint
from twin.fusion.unseen import Sighting, passed
from twin.spatial.lanes import Lanes

T0 = 1_767_268_800 * SECOND


def lane(name, *line_m, level="ground", follows=()):
    return Lane(id=name, level=level, line_m=line_m, width_m=3.0, one_way=True, follows=follows)


STRAIGHT = Lanes([lane("a", (0.0, 0.0), (300.0, 0.0))])
BENT = Lanes([lane("a", (0.0, 0.0), (50.0, 0.0), (50.0, 50.0))])


def between(lanes, seconds, to_m):
    return passed(lanes, Sighting(T0, "ground", (0.0, 0.0)), Sighting(T0 + round(seconds * SECOND), "ground", to_m), T0)


def test_a_straight_way_is_driven_evenly_and_is_least_sure_in_its_middle():
    way = between(STRAIGHT, 20.0, (100.0, 0.0))
    assert [one.at - T0 for one in way] == [n * SECOND for n in range(1, 20)]
    assert [one.point_m[0] for one in way] == pytest.approx([5.0 * n for n in range(1, 20)], abs=0.3)
    assert all(one.velocity_mps == pytest.approx((5.0, 0.0), abs=0.1) for one in way)
    along = [one.covariance_m2[0] for one in way]
    assert max(along) == pytest.approx(along[9])
    assert along[0] < 2.0 < along[9]
    assert {one.covariance_m2[1:] for one in way} == {(0.0, way[0].covariance_m2[2])}, "no less sure across the lane"


def test_the_moments_go_with_the_one_that_is_asked_for():
    lost, found = Sighting(T0, "ground", (0.0, 0.0)), Sighting(T0 + 5 * SECOND, "ground", (25.0, 0.0))
    times = [one.at - T0 for one in passed(STRAIGHT, lost, found, T0 + 2_300_000)]
    assert times == [300_000, 1_300_000, 2_300_000, 3_300_000, 4_300_000]
    assert passed(STRAIGHT, lost, found, T0 + 2_300_000)[2].point_m[0] == pytest.approx(11.5, abs=0.1)


def test_a_bend_is_taken_slowly():
    way = between(BENT, 24.0, (50.0, 50.0))
    speeds = [abs(one.velocity_mps[0]) + abs(one.velocity_mps[1]) for one in way]
    assert min(speeds) == pytest.approx(min(speeds[11:13]))
    assert speeds[2] > 1.4 * min(speeds)
    assert way[0].point_m[1] == 0.0
    assert way[-1].point_m[0] == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("seconds", "to_m"),
    [
        (1.0, (5.0, 0.0)),  # no moment between
        (60.0, (100.0, 0.0)),  # it halted somewhere
        (5.0, (100.0, 0.0)),  # nobody drives so fast
        (20.0, (100.0, 9.0)),  # off the lanes
        (1.5, (2.5, 0.0)),  # hardly a way
        (61.0, (290.0, 0.0)),  # too long ago
    ],
)
def test_nothing_is_said_of_who_does_not_seem_to_have_driven_there(seconds, to_m):
    assert between(STRAIGHT, seconds, to_m) == []


@pytest.mark.parametrize(
    ("lost_as", "is_told"),
    [
        ({}, True),
        ({"status": "parked"}, False),  # it is taken to have stood in a stall meanwhile
        ({"flags": ("ambiguous_identity",)}, False),  # its name may be another's, and its trail is that one's
        ("one of two", False),
    ],
)
def test_who_comes_up_on_the_other_level_is_told_on_the_ramp(lot, lost_as, is_told):
    up = Portal(id="up", level="ground", role="level", direction="both", line_m=((40.0, 0.0), (40.0, 6.0)), to_level="deck")
    down = Portal(id="down", level="deck", role="level", direction="both", line_m=((46.0, 0.0), (46.0, 6.0)), to_level="ground")
    lanes = lane("up", (20.0, 3.0), (40.0, 3.0), follows=("in",)), lane("in", (41.0, 3.0), (90.0, 3.0), level="deck")
    levels = *lot.levels, Level(id="deck", elevation_m=3.0)
    scene = Scene(replace(lot, levels=levels, portals=(*lot.portals, up, down), lanes=lanes), DEFAULTS)
    lost = car(1, T0, 35.0, 3.0, **({"status": "hidden"} | (lost_as if isinstance(lost_as, dict) else {})))
    trail = tuple(TrailPoint(T0 + 8 * SECOND + n * SECOND // 10, 75.0 + 0.5 * n, 3.0) for n in range(12))
    found = car(
        2, trail[-1].at, 80.5, 3.0, level="deck", born_at=trail[0].at, first_m=(75.0, 3.0), trail=trail, vehicle=None,
        status="tentative", hits=12, is_inner_birth=True, tracklets=("t",), seen_by="left",
    )  # fmt: skip
    state = FusionState(tracks={1: lost, 2: found})
    if lost_as == "one of two":
        state.tracks[3] = car(3, T0, 35.5, 3.0, status="hidden")
    emission = Emission("lot", "2", 1, lambda _: [])
    known = Draft(state, scene, emission).life.confirm(found, state)
    assert known is not None
    told = [fact for fact in emission.facts if isinstance(fact.payload, VehicleMoved) and fact.payload.is_inferred]
    if not is_told:
        assert told == []
        return
    assert [fact.occurred_at for fact in told] == [T0 + n * SECOND for n in range(1, 8)]
    assert [fact.payload.position_m[0] for fact in told] == pytest.approx([35 + 5 * n for n in range(1, 8)], abs=0.6)
    assert [fact.payload.level for fact in told] == ["ground", *["deck"] * 6]
    assert {fact.payload.vehicle for fact in told} == {"v1"}
    assert all(not fact.payload.is_inferred for fact in emission.facts if fact.occurred_at >= trail[0].at)
