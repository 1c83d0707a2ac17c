"""Cameras whose poses are taken to be others than they are, and what they learn of it from vehicles that stand."""

import math
import random

import pytest
from msgspec.structs import replace
from square import AT, Square, drawn, look
from tracks import car

from twin.events.ids import SECOND
from twin.events.observations import CameraCalibrated
from twin.events.of_observing import CameraBiasEstimated
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission, unanswered
from twin.fusion.motion import born
from twin.fusion.place import COVERED, fused
from twin.fusion.put_right import put_right_by
from twin.fusion.registration import is_due
from twin.fusion.state import FusionState
from twin.fusion.step import calibrate

PITCHED, PANNED, ROLLED = (0.6, 0.0, 0.0), (0.0, 1.2, 0.0), (0.0, 0.0, 1.2)


@pytest.mark.parametrize("off_deg", [PITCHED, PANNED, ROLLED, (-0.5, 0.4, 0.6)])
def test_a_camera_that_is_turned_is_put_right_and_the_others_are_not_dragged_along(off_deg):
    before = Square({"b": off_deg})
    after = Square({"b": off_deg}).stays(drawn(1, 120))
    assert before.off_m("b") > 0.5
    assert after.off_m("b") < 0.45 * before.off_m("b")
    assert max(after.off_m(name) for name in "acd") < 0.2


def test_places_of_all_cameras_get_better_where_all_are_off():
    off_deg = {"a": (0.4, -0.3, 0.2), "b": (-0.5, 0.3, 0.0), "c": (0.2, 0.5, -0.3), "d": (-0.3, -0.5, 0.4)}
    before, after = Square(off_deg), Square(off_deg).stays(drawn(2, 200))
    places = list(before.scene.centre_m.values())

    def off_m(square):
        stood = [fused({name: look(*square.placed(name, *place)) for name in "abcd"})[:2] for place in places]
        return sum(math.dist(one, place) for one, place in zip(stood, places, strict=True)) / len(places)

    assert sum(map(after.off_m, "abcd")) < 0.5 * sum(map(before.off_m, "abcd"))
    assert off_m(after) < 0.8 * off_m(before)


def test_two_cameras_that_disagree_share_the_error_and_stalls_tell_whose_it_is():
    off_deg = {"b": PITCHED}
    alone = Square(off_deg, "ab").stays(drawn(3, 100, "ab", 2))
    anchored = Square(off_deg, "ab", knows_stalls=True).stays(drawn(3, 100, "ab", 2))
    assert alone.off_m("b") < 0.5 * Square(off_deg, "ab").off_m("b")
    assert anchored.off_m("a") + anchored.off_m("b") < alone.off_m("a") + alone.off_m("b")


def test_a_site_with_one_camera_learns_nothing():
    square = Square({"a": PITCHED}, "a", knows_stalls=True).stays(drawn(4, 100, "a", 1))
    assert square.state.biases == {}
    assert square.said == []


def test_cameras_that_are_right_are_left_as_they_are():
    square = Square({}).stays(drawn(5, 200))
    assert [fact.camera for fact in square.said] == []
    assert max(map(square.off_m, "abcd")) < 1e-6


def test_a_few_vehicles_that_do_not_fit_hardly_count():
    one = Square({}).stays(drawn(6, 60))
    other = Square({}).stays([*drawn(6, 30), ("S20", (-3.75, 4.5), {"a": (3.0, 0.0), "b": (0.0, 0.0)}), *drawn(6, 60)[30:]])
    assert max(abs(one.off_m(name) - other.off_m(name)) for name in "abcd") < 0.05
    pitched = Square({"b": PITCHED}).stays(drawn(6, 120, strange=0.1))
    assert pitched.off_m("b") < 0.35 * Square({"b": PITCHED}).off_m("b")


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_vehicles_hardly_matters(seed):
    stays = drawn(7, 80)
    mixed = random.Random(seed).sample(stays, len(stays))
    one, other = Square({"b": PITCHED}).stays(stays), Square({"b": PITCHED}).stays(mixed)
    for place in one.scene.centre_m.values():
        assert math.dist(one.placed("b", *place), other.placed("b", *place)) < 0.25


def test_a_stay_counts_once_a_camera_when_it_is_known_well_by_another_too():
    square = Square({})
    known, few, hidden = look(0.0, 0.0), look(0.0, 0.0, n=5), look(0.0, 0.0, rank=COVERED)
    assert square.park({"a": known, "b": few, "c": hidden}).counted_by == ()
    track = square.park({"a": known, "b": known, "c": few})
    assert set(track.counted_by) == {"a", "b"}
    assert not is_due(track, "a", AT)
    third = replace(track, looks={**track.looks, "c": known})
    assert is_due(third, "c", AT)
    assert not is_due(third, "a", AT)
    assert {name: bias.n for name, bias in square.state.biases.items()} == {"a": 1, "b": 1}


@pytest.mark.parametrize("changes", [{"status": "moving"}, {"away": 1}, {"still": None}])
def test_what_may_not_stand_is_not_counted(changes):
    square = Square({})
    waiting = replace(square.park({"a": look(0.0, 0.0), "b": look(0.0, 0.0)}), counted_by=())
    assert is_due(waiting, "a", AT)
    assert not is_due(replace(waiting, **changes), "a", AT)
    assert not is_due(waiting, "a", AT - 15 * SECOND), "it has hardly come to stand"


def test_who_drives_off_and_parks_again_counts_anew():
    square = Square({})
    track = square.park({"a": look(0.0, 0.0), "b": look(0.0, 0.0)})
    assert set(track.counted_by) == {"a", "b"}
    draft = Draft(FusionState(), square.scene, Emission("square", "2", 1, unanswered))
    draft.parking.depart(track, born(AT, 3.0, 0.0, (0.1, 0.0, 0.1), 1.0))
    assert track.counted_by == ()


def test_what_is_told_is_how_far_off_the_camera_was_where_vehicles_stood():
    square = Square({"b": PITCHED}).stays(drawn(8, 120))
    last = [fact for fact in square.said if fact.camera == "b"][-1]
    assert isinstance(last, CameraBiasEstimated)
    bias = square.state.biases["b"]
    assert last.distance_m == pytest.approx(math.dist((bias.x, bias.y), square.view["b"].origin_m), abs=0.5)
    raw = Square({"b": PITCHED})
    x, y = raw.placed("b", bias.x, bias.y)
    away = math.dist((x, y), raw.view["b"].origin_m) - math.dist((bias.x, bias.y), raw.view["b"].origin_m)
    assert last.along_m == pytest.approx(away, abs=0.3)
    assert abs(last.across_m) < 0.2
    assert 0.0 < last.sigma_m < 0.2


def test_vehicles_that_stand_are_put_right_with_the_camera():
    square, place = Square({"b": PITCHED}), (1.0, 3.0)
    track = car(9_999, AT, *place, status="parked", looks={"a": look(*place), "b": look(*square.placed("b", *place))})
    square.beside = {track.id: track}
    square.stays(drawn(9, 100))
    after = square.beside[track.id].looks
    assert len([fact for fact in square.said if fact.camera == "b"]) > 1
    assert (after["b"].x, after["b"].y) == pytest.approx(square.placed("b", *place), abs=0.03)
    assert after["a"] == look(*place)


def calibrated(square, at):
    """The state after a calibration of b that puts it right."""
    right = Square({}).site.cameras[1].geometry
    payload = CameraCalibrated(camera="b", level="ground", frame_px=(1280, 720), geometry=right, sigma_m=0.1, range_m=60.0)
    return calibrate(square.state, at, payload)


@pytest.mark.parametrize(("seconds_ago", "by"), [(25, {"a", "b"}), (15, set())])
def test_who_stood_there_before_a_calibration_says_nothing_of_it(seconds_ago, by):
    square = Square({})
    square.state = calibrated(square, AT - seconds_ago * SECOND)
    assert set(square.park({"a": look(0.0, 0.0), "b": look(0.0, 0.0)}).counted_by) == by


def test_a_new_calibration_begins_anew():
    square = Square({"b": PITCHED}).stays(drawn(10, 100))
    assert put_right_by(square.state, "b", AT) is not None
    state = calibrated(square, AT + SECOND)
    assert put_right_by(state, "b", AT) is not None, "frames from before are of the geometry of before"
    assert put_right_by(state, "b", AT + SECOND) is None
    assert put_right_by(state, "a", AT + SECOND) == put_right_by(square.state, "a", AT + SECOND)
