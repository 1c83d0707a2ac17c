"""What is told of where a vehicle was before it was known to be one."""

from msgspec.structs import replace
from tracks import car

from twin.events.facts import PortalCrossed, VehicleLeft, VehicleMoved
from twin.events.ids import SECOND
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrailPoint
from twin.fusion.trails import last_seen

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
    Draft(FusionState(), Scene(lot, DEFAULTS), emission).life.confirm(track, FusionState())
    speeds = [abs(fact.payload.velocity_mps[0]) for fact in emission.facts if isinstance(fact.payload, VehicleMoved)]
    assert len(speeds) > 3
    assert max(speeds) < 6.0


def test_who_comes_over_the_line_as_another_track_has_crossed_it(lot):
    # It halts 2 m before the exit's line at x = 80, and is seen again from 1 m beyond it.
    at = T0 + SECOND
    shared = {"level": "ground", "kind": "car", "kind_scores": {"car": 1.0}, "heading": (1.0, 0.0), "seen_by": "right"}
    lost = Track(
        id=1, status="parked", motion=born(T0, 78.0, 3.0, (0.1, 0.0, 0.1), 1.0), born_at=T0 - 60 * SECOND, first_m=(1.0, 3.0),
        is_inner_birth=False, hits=300, seen_at=T0, vehicle="v", has_entered=True, **shared,
    )  # fmt: skip
    trail = tuple(TrailPoint(at + n * SECOND // 10, 81.0 + 0.3 * n, 3.0) for n in range(12))
    found = Track(
        id=2, status="tentative", motion=born(trail[-1].at, trail[-1].x, 3.0, (0.1, 0.0, 0.1), 1.0), born_at=at,
        first_m=(79.8, 3.0), is_inner_birth=False, hits=12, seen_at=trail[-1].at, trail=trail, tracklets=("t",), **shared,
    )  # fmt: skip
    emission = Emission("lot", "2", 1, lambda _: [])
    state = FusionState(tracks={1: lost, 2: found})
    assert Draft(state, Scene(lot, DEFAULTS), emission).life.confirm(found, state) is not None
    (crossed,) = [fact for fact in emission.facts if isinstance(fact.payload, PortalCrossed)]
    assert (crossed.payload.vehicle, crossed.payload.direction) == ("v", "out")
    assert T0 < crossed.occurred_at < at
    assert [fact.payload.vehicle for fact in emission.facts if isinstance(fact.payload, VehicleLeft)] == ["v"]


def test_who_stood_was_seen_last_where_it_stands_and_not_when_it_halted():
    one = car(1, 60 * SECOND, 8.0, 3.0)
    halted = replace(one, trail=(TrailPoint(20 * SECOND, 7.9, 3.0),))
    assert last_seen(halted) == TrailPoint(60 * SECOND, 8.0, 3.0)
    drove = replace(one, trail=(TrailPoint(59_900_000, 7.9, 3.0),))
    assert last_seen(drove) == drove.trail[-1]
