import numpy as np
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from perception.region import contains

points = st.tuples(st.floats(-50, 150), st.floats(-50, 150))


@given(corners=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=3, max_size=7, unique=True), point=points)
def test_inside_is_what_shapely_says(corners, point):
    ring = shapely.Polygon(corners)
    assume(ring.is_valid)
    assume(ring.boundary.distance(shapely.Point(point)) > 1e-6)
    assert contains(corners, np.array([point]))[0] == ring.contains(shapely.Point(point))


def test_no_points_are_no_answers():
    assert contains([(0, 0), (1, 0), (0, 1)], np.zeros((0, 2))).shape == (0,)
