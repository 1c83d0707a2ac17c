"""The camera model, against OpenCV and against itself."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from site_models.schema import GroundHomography, Pinhole
from twin.errors import ShapeError
from twin.spatial.camera import GroundCamera

K = (620.0, 615.0, 470.0, 280.0)
DISTORTION = (-0.12, 0.03, 0.001, -0.0008, -0.004)


def look_at(position, target):
    forward = np.subtract(target, position) / np.linalg.norm(np.subtract(target, position))
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    return tuple(float(x) for x in np.stack((right, down, forward)).ravel())


def camera(position=(2.0, -3.0, 6.0), target=(10.0, 12.0, 0.0), distortion=DISTORTION, **options) -> GroundCamera:
    pose = Pinhole(k=K, distortion=distortion, position_m=position, rotation=look_at(position, target))
    return GroundCamera(pose, (960, 540), **options)


def test_projection_equals_opencvs():
    points = np.random.default_rng(1).uniform((3, 4, 0), (16, 20, 3), (50, 3))
    pose = camera().geometry
    rotation = np.array(pose.rotation).reshape(3, 3)
    shift = -rotation @ np.array(pose.position_m)
    matrix = np.array([[K[0], 0, K[2]], [0, K[1], K[3]], [0, 0, 1]])
    expected, _ = cv2.projectPoints(points, cv2.Rodrigues(rotation)[0], shift, matrix, np.array(DISTORTION))
    seen = camera().to_pixels(points)
    assert seen.is_in_front.all()
    np.testing.assert_allclose(seen.points_px, expected.reshape(-1, 2), atol=1e-6)


@given(st.floats(40, 920), st.floats(300, 530))
def test_a_pixel_on_the_ground_projects_back_to_itself(u, v):
    seen = camera(range_m=500.0).to_ground(np.array([[u, v]]), np.ones((1, 2)))
    assert seen.is_valid.all()
    back = camera().to_pixels(np.array([[*seen.points_m[0], 0.0]]))
    np.testing.assert_allclose(back.points_px, [[u, v]], atol=1e-4)


def test_covariance_is_that_of_drawn_pixels():
    here, sigma = np.array([[400.0, 420.0]]), np.array([[1.5, 0.8]])
    one = camera(sigma_m=0.0, range_m=500.0)
    drawn = here + np.random.default_rng(2).normal(size=(200_000, 2)) * sigma
    spread = np.cov(one.to_ground(drawn, np.ones_like(drawn)).points_m.T)
    xx, xy, yy = one.to_ground(here, sigma).covariance_m2[0]
    np.testing.assert_allclose([[xx, xy], [xy, yy]], spread, rtol=0.03)


def test_calibration_error_adds_to_every_covariance():
    here = np.array([[400.0, 420.0]]), np.array([[1.0, 1.0]])
    without, with_it = (camera(sigma_m=s).to_ground(*here).covariance_m2[0] for s in (0.0, 0.3))
    np.testing.assert_allclose(with_it - without, [0.09, 0.0, 0.09], atol=1e-12)


def test_sky_and_far_ground_are_not_valid():
    sky, far, near = [480.0, 5.0], [480.0, 120.0], [480.0, 500.0]
    seen = camera(target=(10.0, 12.0, 3.0), range_m=30.0).to_ground(np.array([sky, far, near]), np.ones((3, 2)))
    assert seen.is_valid.tolist() == [False, False, True]


def test_an_upper_levels_ground_is_nearer():
    here = np.array([[480.0, 500.0]]), np.ones((1, 2))
    ground, deck = camera().to_ground(*here).points_m[0], camera(elevation_m=3.0).to_ground(*here).points_m[0]
    origin = np.array([2.0, -3.0])
    np.testing.assert_allclose((deck - origin) * 2, ground - origin, rtol=1e-9)


def test_a_homography_maps_by_its_matrix():
    plane = GroundHomography(matrix=(0.01, 0.0, -4.8, 0.0, -0.02, 10.8, 0.0, 0.0, 1.0))
    seen = GroundCamera(plane, (960, 540)).to_ground(np.array([[480.0, 270.0]]), np.array([[2.0, 1.0]]))
    np.testing.assert_allclose(seen.points_m, [[0.0, 5.4]], atol=1e-12)
    np.testing.assert_allclose(seen.covariance_m2, [[0.0104, 0.0, 0.0104]], atol=1e-12)
    back = GroundCamera(plane, (960, 540)).to_pixels(np.array([[0.0, 5.4, 9.0]]))
    np.testing.assert_allclose(back.points_px, [[480.0, 270.0]], atol=1e-9)


def test_the_footprint_holds_what_is_seen_and_ends_at_the_range():
    ring = camera(range_m=25.0).footprint_m()
    away = np.hypot(ring[:, 0] - 2.0, ring[:, 1] + 3.0)
    assert away.max() <= 25.0 + 1e-9
    inside = cv2.pointPolygonTest(ring.astype(np.float32).reshape(-1, 1, 2), (8.0, 8.0), False)
    outside = cv2.pointPolygonTest(ring.astype(np.float32).reshape(-1, 1, 2), (-8.0, -12.0), False)
    assert (inside, outside) == (1.0, -1.0)


def test_wrong_shapes_are_named():
    with pytest.raises(ShapeError, match=r"points_px must be shape \(_, 2\), but got \(3,\)"):
        camera().to_ground(np.zeros(3), np.zeros((1, 2)))
