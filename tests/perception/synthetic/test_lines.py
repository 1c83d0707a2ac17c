import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.synthetic.lines import Line, rounded


def test_a_line_crosses_a_portal_inwards_from_its_right_to_its_left():
    # The portal points south, so its left is east: driving east is "in".
    eastwards = Line(np.array([[0.0, 0.0], [10.0, 0.0]]))
    assert eastwards.crossing(np.array([4.0, 3.0]), np.array([4.0, -3.0])) == (4.0, True)
    assert eastwards.crossing(np.array([4.0, -3.0]), np.array([4.0, 3.0])) == (4.0, False)
    assert eastwards.crossing(np.array([4.0, 1.0]), np.array([4.0, 3.0])) is None


def test_a_right_angle_is_rounded_by_an_arc_of_the_radius():
    points = rounded(np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]]), 4.0)
    on_arc = points[(points[:, 0] > 6.01) & (points[:, 1] < 3.99)]
    assert np.hypot(*(on_arc - [6.0, 4.0]).T) == pytest.approx(4.0)
    assert len(on_arc) > 10


def test_two_corners_share_a_short_side():
    points = rounded(np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 2.0], [20.0, 2.0]]), 4.0)
    assert np.all(np.diff(points[:, 0]) >= -1e-9)  # never back
    assert points[:, 1].min() >= -1e-9
    assert points[:, 1].max() <= 2.0 + 1e-9


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=6, unique=True), st.floats(1, 8))
def test_a_rounded_line_keeps_its_ends_and_is_no_longer_than_the_corners(points, radius_m):
    line = np.array(points, dtype=float)
    smooth = rounded(line, radius_m)
    assert smooth[[0, -1]] == pytest.approx(line[[0, -1]])
    assert Line(smooth).length_m <= Line(line).length_m + 1e-6
