"""What is told of where a vehicle was before it was known to be one."""

from twin.events.facts import VehicleMoved
from twin.events.ids import SECOND
from twin.fusion.emission import Emission
from twin.fusion.lifecycle import Lifecycle
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrailPoint

T0 = 1_767_268_800 * SECOND


def test_two_cameras_frames_microseconds_apart_tell_no_speed(lot):
    # 2 m/s, seen by two cameras that place it 0.3 m apart, 5 µs one after the other.
    steps = [(n * 100_000 + late, 10.0 + 0.2 * n + off) for n in range(12) for late, off in ((0, 0.0), (5, 0.3))]
    trail = tuple(TrailPoint(T0 + at, x, 3.0) for at, x in steps)
    track = Track(
        id=1,
        level="ground",
        status="tentative",
        motion=born(trail[-1].at, trail[-1].x, 3.0, (0.1, 0.0, 0.1), 1.0),
        kind="car",
        kind_scores={"car": 1.0},
        heading=(1.0, 0.0),
        born_at=T0,
        first_m=(10.0, 3.0),
        is_inner_birth=True,
        hits=24,
        seen_at=trail[-1].at,
        seen_by="left",
        trail=trail,
        tracklets=("t",),
    )
    emission = Emission("lot", "2", 1, lambda _: [])
    Lifecycle(Scene(lot, DEFAULTS), emission).confirm(track, FusionState())
    speeds = [abs(fact.payload.velocity_mps[0]) for fact in emission.facts if isinstance(fact.payload, VehicleMoved)]
    assert len(speeds) > 3
    assert max(speeds) < 6.0
