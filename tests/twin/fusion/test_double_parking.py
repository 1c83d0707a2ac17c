"""Who takes two stalls, and who stands in the way: told only where the place is known well enough to say so."""

import pytest
from msgspec.structs import replace
from tracks import car

from site_models.schema import Lane, Portal
from twin.events.facts import StallChanged, VehicleParked
from twin.events.ids import SECOND
from twin.fusion.double_parking import stance
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.place import CLEAR, Look
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, TrailPoint
from twin.fusion.step import Step

T0 = 1_767_268_800 * SECOND
WELL, BADLY = (0.01, 0.0, 0.01), (0.5, 0.0, 0.5)


@pytest.fixture
def street(lot):
    """The lot with a lane along its aisle, and a gate at its end."""
    lane = Lane(id="way", level="ground", line_m=((0.0, 3.0), (40.0, 3.0)), width_m=3.5, one_way=True)
    gate = Portal(id="gate", level="ground", role="boundary", direction="both", line_m=((40.0, 6.0), (40.0, 0.0)))
    return Scene(replace(lot, lanes=(lane,), portals=(gate,)), DEFAULTS)


def stands(scene, x, y, covariance=WELL, *others, heading=(0.0, 1.0)):
    motion = born(T0, x, y, covariance, 0.0)
    stall = scene.map.stall_at("ground", x, y)
    track = car(1, T0, x, y, status="parked", stall=stall, motion=motion, heading=heading)
    return stance(track, others, scene)


def test_who_stands_in_the_middle_of_a_stall_takes_it_alone(street):
    found = stands(street, 7.5, 8.5)
    assert (found.probability, found.takes, found.is_double_parked) == (pytest.approx(1.0), (), False)


@pytest.mark.parametrize(("x", "takes"), [(9.2, ()), (9.8, ("s2",)), (5.2, ("s0",))])
def test_who_stands_over_the_line_takes_the_stall_beside_as_well(street, x, takes):
    # The line is at 10 m and a car 1.8 m wide: at 9.2 m it is 0.1 m over the line, at 9.8 m 0.7 m, two fifths of it.
    found = stands(street, x, 8.5)
    assert (found.takes, found.is_double_parked) == (takes, bool(takes))


def test_a_place_that_is_hardly_known_accuses_nobody(street):
    found = stands(street, 9.8, 8.5, BADLY)
    assert found.takes == ()
    assert 0.4 < found.probability < 0.9


def test_who_halts_on_the_lane_is_in_the_way(street):
    assert stands(street, 20.0, 3.0, heading=(1.0, 0.0)).is_double_parked
    assert not stands(street, 20.0, -3.0, heading=(1.0, 0.0)).is_double_parked, "nobody drives there"


def test_but_not_who_waits_at_the_gate_or_behind_somebody(street):
    assert not stands(street, 34.0, 3.0, heading=(1.0, 0.0)).is_double_parked
    before, behind = car(2, T0, 26.0, 3.2), car(2, T0, 14.0, 3.2)
    assert not stands(street, 20.0, 3.0, WELL, before, heading=(1.0, 0.0)).is_double_parked
    assert stands(street, 20.0, 3.0, WELL, behind, heading=(1.0, 0.0)).is_double_parked
    in_a_stall = car(2, T0, 22.5, 8.5, status="parked", stall="s5")
    assert stands(street, 20.0, 3.0, WELL, in_a_stall, heading=(1.0, 0.0)).is_double_parked


def test_it_is_said_with_where_the_vehicle_is_parked_and_the_second_stall_is_taken(lot):
    scene, emission = Scene(lot, DEFAULTS), Emission("lot", "2", 1, lambda _: [])
    track = car(1, T0, 9.8, 8.5, still=TrailPoint(T0 - 3 * SECOND, 9.8, 8.5))
    track.looks = {name: Look(30, T0, 9.8, 8.5, (0.05, 0.0, 0.05), CLEAR, (0.0, 0.0, 1.0, 1.0)) for name in ("left", "right")}
    Draft(FusionState(), scene, emission).parking.settle(track)
    step = Step(FusionState(n_tracks=1, tracks={1: track}), scene, emission)
    step._occupy(T0)
    parked = next(one.payload for one in emission.facts if isinstance(one.payload, VehicleParked))
    assert (parked.stall, parked.takes, parked.is_double_parked) == ("s1", ("s2",), True)
    told = [one.payload for one in emission.facts if isinstance(one.payload, StallChanged)]
    assert [(one.stall, one.state, one.vehicle) for one in told] == [("s1", "occupied", "v1"), ("s2", "occupied", None)]
    step._draft.state.tracks.clear()
    step._occupy(T0 + 60 * SECOND)
    told = [one.payload for one in emission.facts if isinstance(one.payload, StallChanged)]
    assert [(one.stall, one.state) for one in told[2:]] == [("s1", "free"), ("s2", "free")]


def test_a_second_stall_is_another_ones_as_soon_as_one_is_parked_in_it(lot):
    scene, emission = Scene(lot, DEFAULTS), Emission("lot", "2", 1, lambda _: [])
    over = car(1, T0, 9.8, 8.5, status="parked", stall="s1", motion=born(T0, 9.8, 8.5, WELL, 0.0))
    over.stance = stance(over, (), scene)
    step = Step(FusionState(n_tracks=2, tracks={1: over}), scene, emission)
    step._occupy(T0)
    step._draft.state.tracks[2] = car(2, T0, 12.0, 8.5, status="parked", stall="s2")
    step._occupy(T0 + SECOND)
    assert step._draft.state.stalls["s2"].vehicle == "v2"
    assert step._draft.state.stalls["s2"].reached_by is None
