"""A vehicle that stood and was off its place twice is off it for the third time, however far that is."""

import pytest
from msgspec.structs import replace
from tracks import car

from twin.events.ids import SECOND
from twin.events.observations import DetectedBox, FrameObserved
from twin.fusion.emission import Emission
from twin.fusion.frame import Measured, Seen
from twin.fusion.parameters import DEFAULTS
from twin.fusion.pending import PendingFrame
from twin.fusion.place import CLEAR, Look
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, TrackletLink
from twin.fusion.step import Step
from twin.spatial.placement import corners_of

T0 = 1_767_268_800 * SECOND
SURE = (0.2, 0.0, 0.2)
BOX = DetectedBox(tracklet="left:1", kind="car", score=0.9, box_px=(300.0, 200.0, 400.0, 260.0), box_sigma_px=(1.0, 1.0))


def seen(lot, x):
    measured = Measured(BOX, (x, 3.0), SURE, is_fresh=True)
    frame = FrameObserved(camera="left", frame_px=(640, 360), detector="d", clock="ntp", boxes=(BOX,))
    camera, level = Scene(lot, DEFAULTS).camera("left", T0, ())
    return Seen(T0, PendingFrame(T0, "left", 1, 9, "e9", frame), level, camera, (measured,), (), corners_of([BOX]))


def step_of(lot, **changes):
    """Vehicle v1 stood at x = 30 and was 2.6 m off it 0.2 s ago; its tracklet's box is 6 m farther off by now."""
    track = car(1, T0 - SECOND // 5, 30.0, 3.0, status="parked", tracklets=("left:1",), kind_scores={"car": 9.0})
    look = Look(13, T0 - 3 * SECOND, 30.0, 3.0, SURE, CLEAR, BOX.box_px)
    off = {"looks": {"left": look}, "away": 2, "away_by": "left:1", "away_at": T0 - SECOND // 5, "away_m": (2.6, 0.0)}
    parked = replace(track, **{**off, **changes})
    link = TrackletLink(1, "left", BOX, (32.6, 3.0), SURE, T0 - SECOND // 5)
    state = FusionState(
        n_tracks=1, tracks={1: parked}, tracklets={"left": {"left:1": link}}, watched_since={"left": T0 - 60 * SECOND}
    )
    return Step(state, Scene(lot, DEFAULTS), Emission("lot", "2", 1, lambda _: []))


def test_who_is_beyond_the_gate_at_the_third_look_has_driven_off_by_its_own_name(lot):
    step = step_of(lot)
    step._frame(seen(lot, 38.6))
    (track,) = step.finished().tracks.values()
    assert (track.vehicle, track.status, track.away) == ("v1", "moving", 0)
    assert 36.0 < track.motion.x < 40.0
    assert track.stood.x == 30.0, "it goes on from where it stood"


def test_it_goes_on_in_order_of_time_where_another_camera_saw_it_stand_since(lot):
    standing = car(1, T0 - SECOND // 20, 30.0, 3.0).motion
    step = step_of(lot, motion=standing)
    step._frame(seen(lot, 36.0))
    (track,) = step.finished().tracks.values()
    assert track.status == "moving"
    assert [point.at for point in track.trail] == sorted(point.at for point in track.trail)


@pytest.mark.parametrize("x", [42.0, 60.0, 90.0, 300.0])
def test_a_tracklet_that_is_farther_off_than_a_vehicle_drives_is_another_vehicles_by_now(lot, x):
    step = step_of(lot)
    step._frame(seen(lot, x))
    tracks = step.finished().tracks
    assert (tracks[1].status, tracks[1].motion.x) == ("parked", 30.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"away": 1},  # once may be another's box
        {"away_by": "left:2"},  # so far off was another tracklet
        {"away_at": T0 - 3 * SECOND},  # that was before
    ],
)
def test_otherwise_who_comes_up_so_far_off_begins_anew(lot, changes):
    step = step_of(lot, **changes)
    step._frame(seen(lot, 38.6))
    assert {one.id: one.status for one in step.finished().tracks.values()} == {1: "parked", 2: "tentative"}
