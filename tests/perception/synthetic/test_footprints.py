import math

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from perception.synthetic.footprints import corners, overlap, overlaps, within_reach

angles = st.floats(-math.pi, math.pi)
rectangles = st.builds(
    lambda x, y, a, length, width: (x, y, math.cos(a), math.sin(a), length, width),
    st.floats(-6, 6),
    st.floats(-6, 6),
    angles,
    st.floats(0.2, 4),
    st.floats(0.2, 2),
)


def _polygon(rectangle):
    return shapely.Polygon(corners(rectangle))


@given(rectangles, rectangles)
def test_rectangles_overlap_exactly_when_their_polygons_do(a, b):
    one, other = _polygon(a), _polygon(b)
    if one.buffer(-1e-6).intersects(other.buffer(-1e-6)):
        assert overlap(a, b)
    elif not one.buffer(1e-6).intersects(other.buffer(1e-6)):
        assert not overlap(a, b)


@given(st.lists(rectangles, min_size=1, max_size=4), st.lists(rectangles, min_size=1, max_size=4))
def test_the_columnar_test_agrees_with_the_single_one(a, b):
    assert overlaps(np.array(a), np.array(b)).tolist() == [[overlap(one, other) for other in b] for one in a]


@given(st.lists(rectangles, min_size=1, max_size=4), st.lists(rectangles, min_size=1, max_size=4))
def test_whoever_overlaps_is_within_reach(a, b):
    one, other = np.array(a), np.array(b)
    near = within_reach(one, other)
    assert overlaps(one, near).sum() == overlaps(one, other).sum()


def test_what_is_far_away_is_not_within_reach():
    a, b = (
        np.array([[0.0, 0.0, 1.0, 0.0, 2.0, 1.0]]),
        np.array([[30.0, 0.0, 1.0, 0.0, 2.0, 1.0], [4.0, 0.0, 1.0, 0.0, 2.0, 1.0]]),
    )
    assert within_reach(a, b).tolist() == b[1:].tolist()
