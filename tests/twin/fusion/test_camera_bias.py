"""The estimate of a camera's errors, against all stays at once by numpy."""

import numpy as np
import pytest

from site_models.camera_entries import look_at
from site_models.schema import Pinhole
from twin.fusion.camera_bias import CameraBias, counted, estimate, share_known, spread
from twin.spatial.camera import GroundCamera
from twin.spatial.pose_error import N_ERRORS, effects

EYE = (0.0, 0.0, 6.0)
LENS = Pinhole(k=(640.0, 640.0, 640.0, 360.0), position_m=EYE, rotation=look_at(EYE, (15.0, 0.0, 0.0)))
CAMERA = GroundCamera(LENS, (1280, 720))
PRIOR = np.array([0.006, 0.006, 0.012, 0.1, 0.1, 0.15])
NOISE = (0.3, 0.05, 0.2)
TRUE = np.array([0.004, -0.006, 0.01, 0.05, -0.08, 0.1])


def stays(n, seed=1):
    """Places, and residuals of a camera with these errors."""
    rng = np.random.default_rng(seed)
    places = rng.uniform((8.0, -10.0), (25.0, 10.0), (n, 2))
    noise = rng.multivariate_normal((0.0, 0.0), ((NOISE[0], NOISE[1]), (NOISE[1], NOISE[2])), n)
    return [
        (tuple(at), tuple(np.array(effects(CAMERA, *at)) @ TRUE + 0.1 * off)) for at, off in zip(places, noise, strict=True)
    ]


def after(found, bias=None):
    bias = CameraBias() if bias is None else bias
    for place, residual in found:
        bias = counted(bias, CAMERA, place, residual, NOISE)
    return bias


def test_before_any_stay_nothing_is_known_but_the_prior():
    known = estimate(CameraBias(), CAMERA)
    assert known.errors == (0.0,) * N_ERRORS
    assert np.array(known.covariance) == pytest.approx(np.diag(PRIOR**2))
    assert share_known(after(stays(1)), CAMERA) < share_known(after(stays(60)), CAMERA) < 1.0


def test_stays_that_fit_count_as_in_least_squares_with_a_prior_of_zero():
    found = stays(60)
    rows = np.concatenate([np.array(effects(CAMERA, *place)) for place, _ in found])
    weight = np.kron(np.eye(60), np.linalg.inv(((NOISE[0], NOISE[1]), (NOISE[1], NOISE[2]))))
    covariance = np.linalg.inv(rows.T @ weight @ rows + np.diag(PRIOR**-2))
    residuals = np.concatenate([residual for _, residual in found])
    known = estimate(after(found), CAMERA)
    assert np.array(known.covariance) == pytest.approx(covariance, rel=1e-6, abs=1e-12)
    assert np.array(known.errors) == pytest.approx(covariance @ rows.T @ weight @ residuals, rel=1e-6)


def test_what_does_not_fit_counts_less_the_less_it_fits():
    known = after(stays(30))
    place = (15.0, 2.0)

    def moved_m(off_m):
        east = spread_of(after([(place, (off_m, 0.0))], known)) - spread_of(known)
        return abs(east)

    def spread_of(bias):
        return np.dot(effects(CAMERA, *place)[0], estimate(bias, CAMERA).errors)

    assert moved_m(8.0) < moved_m(2.0)
    assert moved_m(8.0) < 0.05


def test_stays_of_long_ago_fade_and_the_prior_does_not():
    before = after([(place, (0.0, 0.0)) for place, _ in stays(200, 2)])
    found = estimate(after([one for seed in range(8) for one in stays(50, seed)], before), CAMERA)
    for place in ((10.0, 3.0), (22.0, -6.0)):
        by = np.array(effects(CAMERA, *place))
        assert by @ found.errors == pytest.approx(by @ TRUE, abs=0.1)
    assert 0.0 < found.covariance[3][3] < PRIOR[3] ** 2
    xx, xy, yy = spread(found, effects(CAMERA, 10.0, 3.0))
    assert xx * yy > xy * xy
