"""Two cameras' boxes of one moving vehicle part: the tracklet that was the track's for longer, and is as sure, is right."""

import pytest
from msgspec.structs import replace
from tracks import car

from twin.events.ids import SECOND
from twin.events.observations import DetectedBox, FrameObserved
from twin.fusion.emission import Emission
from twin.fusion.frame import Measured, Seen
from twin.fusion.parameters import DEFAULTS
from twin.fusion.pending import PendingFrame
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, TrackletLink, TrailPoint
from twin.fusion.step import Step
from twin.fusion.straying import strays
from twin.spatial.placement import corners_of

T0 = 1_767_268_800 * SECOND
SURE, UNSURE = (0.2, 0.0, 0.2), (2.0, 0.0, 0.7)


def box(name):
    return DetectedBox(tracklet=name, kind="car", score=0.9, box_px=(300.0, 200.0, 400.0, 260.0), box_sigma_px=(1.0, 1.0))


def link(name, camera, x, covariance_m2, seen_at=T0):
    return TrackletLink(1, camera, box(name), (x, 3.0), covariance_m2, seen_at)


def state(*, tracklets=("left:1", "right:1"), status="moving", covariance_m2=UNSURE, seen_at=T0):
    """Vehicle v1 went from x = 10 to x = 15 with the box of ``right:1``."""
    track = car(1, T0, 15.0, 3.0, status=status, tracklets=tracklets)
    links = {
        "left": {"left:1": link("left:1", "left", 10.0, SURE, T0 - SECOND // 10)},
        "right": {"right:1": link("right:1", "right", 15.0, covariance_m2, seen_at)},
    }
    return FusionState(n_tracks=1, tracks={1: track}, tracklets=links, watched_since={"left": T0 - 60 * SECOND})


def seen(lot, at=T0):
    measured = Measured(box("left:1"), (10.0, 3.0), SURE, is_fresh=True)
    frame = FrameObserved(camera="left", frame_px=(640, 360), detector="d", clock="ntp", boxes=(measured.box,))
    camera, level = Scene(lot, DEFAULTS).camera("left", at, ())
    return Seen(at, PendingFrame(at, "left", 1, 9, "e9", frame), level, camera, (measured,), (), corners_of([measured.box]))


@pytest.mark.parametrize(
    ("given", "is_astray"),
    [
        ({}, True),
        ({"tracklets": ("right:1", "left:1")}, False),  # who came last is more likely to be wrong
        ({"covariance_m2": (0.1, 0.0, 0.1)}, False),  # the other camera is surer of its place
        ({"seen_at": T0 - SECOND}, False),  # it was not that box that the track went with
        ({"status": "parked"}, False),  # off a place where it stands is something else
    ],
)
def test_the_younger_and_less_sure_of_two_boxes_strayed(lot, given, is_astray):
    frame = seen(lot)
    found = strays(frame.measured[0], frame, state(**given), ())
    assert (None if found is None else found[1]) == ([("right", "right:1")] if is_astray else None)


def test_whom_the_frame_shows_elsewhere_is_not_called_back(lot):
    frame = seen(lot)
    assert strays(frame.measured[0], frame, state(), {1}) is None


def test_nor_by_a_box_that_is_hardly_like_a_vehicle(lot):
    frame = seen(lot)
    (measured,) = frame.measured
    faint = replace(measured, box=replace(measured.box, score=0.2))
    step = Step(state(), Scene(lot, DEFAULTS), Emission("lot", "2", 1, lambda _: []))
    assert step._tracker._called_back(faint, frame, ()) is None


def test_a_track_comes_back_to_the_box_that_was_its_own_and_leaves_the_other_alone(lot):
    emission = Emission("lot", "2", 1, lambda _: [])
    before = state()
    before.tracks[1].still = TrailPoint(T0 - 7 * SECOND, 15.0, 3.0)
    before.tracks[1].trail = tuple(TrailPoint(T0 - n * SECOND // 20, 15.0 - n, 3.0) for n in range(4, -1, -1))
    step = Step(before, Scene(lot, DEFAULTS), emission)
    frame = seen(lot, T0 + SECOND // 10)
    assert step._tracker._called_back(frame.measured[0], frame, ()) == 1
    after = step.finished()
    track = after.tracks[1]
    assert abs(track.motion.x - 10.0) < 0.5
    assert track.status == "moving"  # it stood at the neighbour's place, not here
    assert [point.x for point in track.trail[:-1]] == [11.0, 12.0, 13.0]  # until it was last seen where it belongs
    assert (track.tracklets, track.refused) == (("left:1",), ("right:1",))
    assert "right:1" not in after.tracklets["right"]
    assert after.tracklets["left"]["left:1"].assigned_to == "v1"
    assert before.tracks[1].motion.x == 15.0
    assert before.tracks[1].refused == ()
