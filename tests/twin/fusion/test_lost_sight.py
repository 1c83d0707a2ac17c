"""A vehicle that is about to leave and is not seen any more: gone, if a camera looked; if it fell silent, only out of sight."""

import pytest
from msgspec.structs import replace

from twin.events.facts import PortalCrossed, VehicleHidden, VehicleLeft
from twin.events.ids import SECOND
from twin.fusion.emission import Emission
from twin.fusion.lifecycle import Lifecycle
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.state import Track, TrailPoint

T0 = 1_767_268_800 * SECOND


@pytest.fixture
def leaving():
    """Three metres before the exit of the lot, at 3 m/s."""
    motion = replace(born(T0, 77.0, 3.0, (0.1, 0.0, 0.1), 1.0), vx=3.0)
    return Track(
        id=1,
        level="ground",
        status="moving",
        motion=motion,
        kind="car",
        kind_scores={"car": 1.0},
        heading=(1.0, 0.0),
        born_at=T0 - 9 * SECOND,
        first_m=(50.0, 3.0),
        is_inner_birth=False,
        hits=90,
        seen_at=T0,
        seen_by="right",
        vehicle="v1",
        has_entered=True,
        trail=(TrailPoint(T0, 77.0, 3.0),),
    )


def lost(lot, track, looked_at):
    emission = Emission("lot", "2", 1, lambda _: [])
    Lifecycle(Scene(lot, DEFAULTS), emission).lose_sight(track, looked_at)
    return [type(fact.payload) for fact in emission.facts], track.status


def test_a_camera_that_looked_when_it_must_have_been_gone_saw_it_leave(lot, leaving):
    assert lost(lot, leaving, T0 + SECOND) == ([PortalCrossed, VehicleLeft], "left")


@pytest.mark.parametrize("looked_at", [T0, T0 + SECOND // 2])
def test_a_camera_that_fell_silent_before_says_nothing_of_its_leaving(lot, leaving, looked_at):
    assert lost(lot, leaving, looked_at) == ([VehicleHidden], "hidden")
