"""The Kalman filter, against filterpy."""

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from hypothesis import given
from hypothesis import strategies as st

from twin.fusion.motion import Motion, born, predict, stopped, update

Q = 3.0


def full(motion: Motion) -> np.ndarray:
    xx, xy, xu, xv, yy, yu, yv, uu, uv, vv = motion.p
    return np.array([[xx, xy, xu, xv], [xy, yy, yu, yv], [xu, yu, uu, uv], [xv, yv, uv, vv]])


def oracle(motion: Motion, seconds: float) -> KalmanFilter:
    filter_ = KalmanFilter(dim_x=4, dim_z=2)
    filter_.x = np.array([motion.x, motion.y, motion.vx, motion.vy])
    filter_.P = full(motion)
    filter_.F = np.array([[1, 0, seconds, 0], [0, 1, 0, seconds], [0, 0, 1, 0], [0, 0, 0, 1]])
    t, t2, t3 = seconds, seconds**2 / 2, seconds**3 / 3
    filter_.Q = Q * np.array([[t3, 0, t2, 0], [0, t3, 0, t2], [t2, 0, t, 0], [0, t2, 0, t]])
    filter_.H = np.array([[1, 0, 0, 0], [0, 1, 0, 0]])
    return filter_


def test_prediction_and_update_equal_filterpys():
    motion = born(0, 3.0, -2.0, (0.2, 0.05, 0.3), 5.0)
    for n, (x, y) in enumerate([(3.5, -1.5), (4.2, -1.1), (4.9, -0.4)], start=1):
        filter_ = oracle(motion, 0.1)
        filter_.R = np.array([[0.2, 0.05], [0.05, 0.3]])
        filter_.predict()
        filter_.update(np.array([x, y]))
        motion = update(predict(motion, n * 100_000, Q), x, y, (0.2, 0.05, 0.3))
        np.testing.assert_allclose([motion.x, motion.y, motion.vx, motion.vy], filter_.x, atol=1e-9)
        np.testing.assert_allclose(full(motion), filter_.P, atol=1e-9)


@given(st.lists(st.tuples(st.integers(1, 5_000_000), st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=40))
def test_the_covariance_stays_positive_definite(steps):
    motion = born(0, 0.0, 0.0, (0.1, 0.0, 0.1), 8.0)
    at = 0
    for gap, x, y in steps:
        at += gap
        motion = update(predict(motion, at, Q), x, y, (0.1, 0.02, 0.2))
        assert np.linalg.eigvalsh(full(motion)).min() > 0


@pytest.mark.parametrize("at", [0, -5])
def test_time_does_not_run_backwards(at):
    motion = born(0, 1.0, 2.0, (0.1, 0.0, 0.1), 8.0)
    assert predict(motion, at, Q) is motion


def test_what_has_not_moved_is_where_it_was_and_as_surely():
    # Seen once at an unknown speed: half a second on it might be 4 m away, but a camera says that it has not moved.
    motion = stopped(born(0, 1.0, 2.0, (0.1, 0.0, 0.1), 8.0), 500_000, 0.1)
    assert (motion.at, motion.x, motion.y, motion.covariance_m2) == (500_000, 1.0, 2.0, (0.1, 0.0, 0.1))
    assert full(predict(motion, 1_000_000, Q))[0, 0] < 0.25
