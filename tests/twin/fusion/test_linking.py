"""Whose tracklets are, and when it is said."""

import pytest

from twin.events.facts import TrackletAssigned
from twin.events.ids import SECOND
from twin.events.observations import DetectedBox, FrameObserved
from twin.fusion.appearance import View
from twin.fusion.emission import Emission, unanswered
from twin.fusion.frame import Measured, Seen
from twin.fusion.linking import Linking
from twin.fusion.motion import born
from twin.fusion.pending import PendingFrame
from twin.fusion.state import Track
from twin.spatial.placement import corners_of

T0 = 1_767_268_800_000_000


def track(number, vehicle=None):
    return Track(
        id=number, level="ground", status="moving", motion=born(T0, 0.0, 0.0, (0.1, 0.0, 0.1), 1.0), kind="car",
        kind_scores={"car": 1.0}, heading=(1.0, 0.0), born_at=T0, first_m=(0.0, 0.0), is_inner_birth=True, hits=9, seen_at=T0,
        seen_by="a", vehicle=vehicle,
    )  # fmt: skip


def measured(name, *, is_fresh=True, x=0.0):
    box = DetectedBox(tracklet=name, kind="car", score=0.9, box_px=(x, 0.0, x + 9.0, 9.0), box_sigma_px=(1.0, 1.0))
    return Measured(box, (x, 0.0), (0.1, 0.0, 0.1), is_fresh)


def seen(at, camera="a"):
    frame = FrameObserved(camera=camera, frame_px=(640, 480), detector="d", clock="ntp")
    return Seen(at, PendingFrame(at, camera, 1, 1, "e", frame), "ground", None, (), (), corners_of([]))


@pytest.fixture
def emission():
    return Emission("lot", "2", 7, unanswered)


def said(emission):
    return [(fact.payload.tracklet, fact.payload.vehicle, fact.supersedes) for fact in emission.facts]


def test_a_vehicle_s_tracklet_is_said_once_and_the_next_owner_supersedes_it(emission):
    links, one, other = {}, track(1, "v1"), track(2, "v2")
    linking = Linking(links, {"t": (View(b"look"),)}, emission)
    linking.link(one, measured("t"), seen(T0))
    linking.link(one, measured("t", x=1.0), seen(T0 + 1))
    assert said(emission) == [("t", "v1", ())]
    assert (one.tracklets, one.gallery) == (("t",), (View(b"look"),))
    linking.link(other, measured("t"), seen(T0 + 2))
    assert said(emission)[1:] == [("t", "v2", (emission.facts[0].id,))]
    assert isinstance(emission.facts[1].payload, TrackletAssigned)


def test_a_box_that_has_not_changed_stays_where_it_was_and_is_seen(emission):
    links, one = {}, track(1, "v1")
    linking = Linking(links, {}, emission)
    linking.link(one, measured("t", x=1.0), seen(T0))
    linking.keep(one, measured("t", is_fresh=False, x=5.0), seen(T0 + 9))
    assert (links["a"]["t"].point_m, links["a"]["t"].seen_at) == ((1.0, 0.0), T0 + 9)
    one.vehicle = "v2"  # a merge gave it another name
    linking.keep(one, measured("t", is_fresh=False), seen(T0 + 10))
    assert [vehicle for _, vehicle, _ in said(emission)] == ["v1", "v2"]


def test_tracklets_are_handed_over_and_parted(emission):
    links, nobody, heir = {}, track(1), track(2, "v2")
    linking = Linking(links, {}, emission)
    for camera in ("a", "b"):
        linking.link(nobody, measured(f"{camera}:1"), seen(T0, camera))
    assert said(emission) == [], "it is no vehicle yet"
    linking.part("b", "b:1")
    linking.part("c", "never was")
    linking.hand_over(1, heir, T0 + 1)
    assert said(emission) == [("a:1", "v2", ())]
    assert links == {"a": {"a:1": links["a"]["a:1"]}, "b": {}}
    assert links["a"]["a:1"].track == 2


def test_what_was_seen_a_moment_ago_is_recent_and_what_was_not_seen_for_long_is_forgotten(emission):
    linking = Linking({}, {}, emission)
    for name, at in (("old", T0), ("recent", T0 + 3 * SECOND), ("shown", T0 + 4 * SECOND)):
        linking.link(track(1), measured(name), seen(at))
    assert [box.tracklet for box in linking.recent(seen(T0 + 4 * SECOND))] == ["recent"]
    assert linking.recent(seen(T0, "another")) == []
    linking.forget(T0 + 4 * SECOND)
    assert [box.tracklet for box in linking.recent(seen(T0 + 5 * SECOND))] == ["shown"]
