"""Where a standing vehicle stands: means of each camera's looks, and who is no part of them."""

import numpy as np
import pytest

from twin.fusion.place import CLEAR, COVERED, CUT, fused, is_stranger, looked, without_strays

WIDE, NARROW = (1.0, 0.0, 0.25), (0.25, 0.0, 1.0)
BOX = (0.0, 0.0, 10.0, 10.0)


def seen(points, covariance=WIDE, rank=CLEAR, before=None):
    for at, point in enumerate(points):
        before = looked(before, at, point, covariance, rank, BOX)
    return before


def test_a_cameras_mean_is_the_mean_of_its_looks():
    look = seen([(0.0, 1.0), (1.0, 1.0), (2.0, 4.0)])
    assert (look.n, look.x, look.y) == (3, pytest.approx(1.0), pytest.approx(2.0))


def test_a_better_kind_of_box_replaces_the_worse_ones_and_a_worse_one_adds_nothing():
    hidden = seen([(5.0, 5.0)] * 9, rank=COVERED)
    clear = seen([(1.0, 1.0)], before=hidden)
    assert (clear.n, clear.x, clear.rank) == (1, 1.0, CLEAR)
    assert seen([(9.0, 9.0)], rank=CUT, before=clear) == clear


def test_two_cameras_are_weighted_by_what_each_knows():
    # Each knows one axis four times better than the other does: 4 to 1 for each.
    x, y, (xx, xy, yy) = fused({"a": seen([(0.0, 0.0)]), "b": seen([(1.0, 1.0)], NARROW)})
    assert (x, y) == (pytest.approx(0.8), pytest.approx(0.2))
    assert (xx, xy, yy) == (pytest.approx(0.2), 0.0, pytest.approx(0.2))
    assert fused({}) is None


def test_the_order_of_cameras_changes_no_bit():
    rng = np.random.default_rng(3)
    looks = {name: seen([tuple(rng.normal(size=2).tolist())] * 3, (0.7, 0.1, 0.4)) for name in "abc"}
    assert fused(looks) == fused(dict(reversed(looks.items())))


def test_more_looks_of_one_camera_are_worth_less_than_another_camera():
    many, two = fused({"a": seen([(0.0, 0.0)] * 30)}), fused({"a": seen([(0.0, 0.0)]), "b": seen([(0.0, 0.0)])})
    more = fused({"a": seen([(0.0, 0.0)] * 30), "b": seen([(0.0, 0.0)] * 30)})
    assert many[2][0] > 0.3, "what all looks have in common stays"
    assert more[2][0] == pytest.approx(many[2][0] / 2)
    assert two[2][0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("away", "n", "stranger"),
    [(2.6, 8, True), (1.0, 8, False), (2.6, 3, False)],  # another stall; too near for another vehicle; too few looks
)
def test_a_camera_whose_looks_are_elsewhere_sees_another_vehicle(away, n, stranger):
    looks = {"sure": seen([(0.0, 0.0)] * 20, (0.2, 0.0, 0.2)), "other": seen([(away, 0.0)] * n, (0.6, 0.0, 0.4))}
    assert is_stranger(looks, "other") == stranger
    assert not is_stranger(looks, "sure"), "who knows better is not sent away"


def test_of_two_vehicles_that_were_taken_for_one_the_better_known_stays():
    sure, second, third = (0.1, 0.0, 0.1), (0.6, 0.0, 0.4), (0.6, 0.0, 0.4)
    looks = {
        "sure": seen([(0.0, 0.0)] * 20, sure),
        "second": seen([(2.7, 0.0)] * 20, second),
        "third": seen([(2.5, 0.0)] * 20, third),
    }
    assert [name for name in looks if is_stranger(looks, name)] == ["second", "third"]


def test_a_single_look_far_off_is_left_out_of_the_place():
    looks = {"sure": seen([(0.0, 0.0)] * 20, (0.2, 0.0, 0.2)), "once": seen([(3.0, 0.0)], (0.3, 0.0, 0.3))}
    near = {**looks, "once": seen([(0.8, 0.0)], (0.3, 0.0, 0.3))}
    assert set(without_strays(looks)) == {"sure"}
    assert set(without_strays(near)) == {"sure", "once"}
    assert without_strays({"once": looks["once"]}) == {"once": looks["once"]}, "all that is known"
