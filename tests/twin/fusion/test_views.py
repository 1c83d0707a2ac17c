"""Which looks are compared to learn what likeness is worth."""

import numpy as np
import pytest
from msgspec.structs import replace

from twin.events.ids import SECOND
from twin.events.observations import DetectedBox
from twin.fusion.appearance import View
from twin.fusion.emission import Emission
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.pending import PendingLook
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrackletLink
from twin.fusion.views import embed

T0 = 1_767_268_800_000_000
RED, BLUE = (View(np.array(one, np.int8).tobytes()) for one in ((100, 10, 0), (0, 10, 100)))
BOX = DetectedBox(box_px=(0.0, 0.0, 9.0, 9.0), box_sigma_px=(2.0, 2.0), kind="car", score=0.9, tracklet="b:1:1")


@pytest.fixture
def scene(lot):
    return Scene(lot, DEFAULTS)


def _track(number, x, gallery):
    return Track(
        id=number,
        level="ground",
        status="moving",
        motion=born(T0, x, 0.0, (0.1, 0.0, 0.1), 1.0),
        kind="car",
        kind_scores={"car": 1.0},
        heading=(1.0, 0.0),
        born_at=T0,
        first_m=(x, 0.0),
        is_inner_birth=True,
        hits=90,
        seen_at=T0,
        seen_by="a",
        vehicle=f"v{number}",
        gallery=gallery,
    )


def _link(camera, seen_at=T0):
    return TrackletLink(1, camera, BOX, (0.0, 0.0), (0.1, 0.0, 0.1), seen_at)


def _state(seen_by_a_at=T0):
    """Vehicle 1, red, which cameras a and b have a tracklet of; 2, blue, 20 m off; 3, red, 2 m off: it may be 1's double."""
    tracks = {1: _track(1, 0.0, (RED,)), 2: _track(2, 20.0, (BLUE,)), 3: _track(3, 2.0, (RED,))}
    links = {"a": {"a:1:1": _link("a", seen_by_a_at)}, "b": {"b:1:1": _link("b")}}
    return FusionState(tracks=tracks, tracklets=links)


def _embedded(state, scene, tracklet="b:1:1"):
    look = PendingLook(T0 + SECOND // 10, "b", 1, 1, tracklet, RED.embedding, "e@1")
    return embed(state, [look], scene, Emission(scene.site.name, "2", 1, lambda _: []))


def test_the_first_look_of_a_tracklet_beside_another_cameras_is_one_pair_of_the_same_and_some_of_others(scene):
    scores = _embedded(_state(), scene).scores
    assert (sum(scores.same), sum(scores.different)) == (1, 1)
    assert scores.same[-1] == 1
    assert scores.different[2] == 1  # cosine 0


def test_a_second_look_is_no_pair_nor_is_one_that_no_other_camera_vouches_for(scene):
    once = _embedded(_state(), scene)
    assert _embedded(once, scene).scores == once.scores
    assert sum(_embedded(_state(seen_by_a_at=T0 - SECOND), scene).scores.same) == 0
    assert sum(_embedded(_state(), scene, tracklet="b:1:9").scores.same) == 0  # whose it is, nobody knows yet


def test_where_looks_are_not_to_be_calibrated_they_are_not(lot):
    scene = Scene(lot, replace(DEFAULTS, calibrates_looks=False))
    assert sum(_embedded(_state(), scene).scores.same) == 0


@pytest.mark.parametrize("is_placed", [True, False])
def test_a_tracklet_whose_box_has_no_place_says_nothing_of_its_track(scene, is_placed):
    """Far off it went on with another vehicle's boxes, while its track is at the exit."""
    state = _state()
    before = replace(state.tracks[1], gallery=(BLUE,))
    links = {"b": {"b:1:1": replace(_link("b"), is_placed=is_placed)}}
    after = _embedded(replace(state, tracks={**state.tracks, 1: before}, tracklets=links), scene)
    assert after.views["b:1:1"] == (RED,)
    assert bool(after.tracks[1].strange) == is_placed
