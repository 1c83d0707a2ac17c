"""Cameras as written: a lens and a pose, or a homography, given or fitted to pairs."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from site_models.camera_entries import CameraEntry, camera_of, fit_homography, look_at
from site_models.schema import GroundHomography, Level, LevelId, Pinhole
from twin.spatial.camera import GroundCamera

HEAD = {"id": "gate", "level": "ground", "width": 960, "height": 540}
GROUND = Level(id=LevelId("ground"))
COORDINATES = st.floats(-50, 50)


def entry(**keys) -> CameraEntry:
    return msgspec.convert({**HEAD, **keys}, CameraEntry)


def seen(pose: dict, points: list[tuple[float, float]]) -> np.ndarray:
    """Where a pinhole of this pose shows points of the ground."""
    camera = camera_of(entry(focal_px=500.0, **pose))
    return GroundCamera.of(camera, GROUND).to_pixels(np.array([(x, y, 0.0) for x, y in points])).points_px


@given(position=st.tuples(COORDINATES, COORDINATES, st.floats(2, 30)), target=st.tuples(COORDINATES, COORDINATES, st.just(0.0)))
def test_a_camera_has_in_its_middle_what_it_looks_at_and_stands_upright(position, target):
    assume(math.dist(position[:2], target[:2]) > 0.5)
    camera = camera_of(entry(hfov_deg=70.0, position_m=position, look_at_m=target))
    assert isinstance(camera.geometry, Pinhole)
    r = np.array(camera.geometry.rotation).reshape(3, 3)
    assert np.abs(r @ r.T - np.eye(3)).max() < 1e-8
    assert np.linalg.det(r) == pytest.approx(1.0)
    assert r[0, 2] == 0.0  # no roll: the picture's x is level
    shown = GroundCamera.of(camera, GROUND).to_pixels(np.array([target]))
    assert shown.points_px[0] == pytest.approx([480.0, 270.0], abs=0.05)


def test_every_way_to_state_a_lens_gives_the_same_lens():
    pose = {"position_m": [0, 0, 5], "look_at_m": [0, 10, 0]}
    focal = 480 / math.tan(math.radians(40))
    lenses = [{"hfov_deg": 80.0}, {"focal_px": focal}, {"fx": focal}, {"fx": focal, "fy": focal, "cx": 480, "cy": 270}]
    for lens in lenses:
        geometry = camera_of(entry(**lens, **pose)).geometry
        assert isinstance(geometry, Pinhole)
        assert geometry.k == pytest.approx((focal, focal, 480.0, 270.0))


@given(x=st.floats(-8000, 8000), y=st.floats(-8000, 8000), height=st.floats(3, 20), turn=st.floats(0, 6.28))
def test_a_homography_fitted_to_what_a_pinhole_shows_maps_as_that_pinhole_does(x, y, height, turn):
    ahead, aside = (math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))
    ground = [(x + a * ahead[0] + b * aside[0], y + a * ahead[1] + b * aside[1]) for a in (8, 15, 25) for b in (-4, 0, 4)]
    pose = {"position_m": [x, y, height], "look_at_m": [x + 12 * ahead[0], y + 12 * ahead[1], 0.0]}
    pixels = seen(pose, ground)
    pairs = [[*pixel, *point] for pixel, point in zip(pixels.tolist(), ground, strict=True)]
    camera = GroundCamera.of(camera_of(entry(pairs=pairs)), GROUND)
    back = camera.to_ground(pixels, np.ones_like(pixels))
    assert back.is_valid.all()
    assert np.abs(back.points_m - np.array(ground)).max() < 0.01


@given(factor=st.floats(1e-6, 1e6), sign=st.sampled_from([-1, 1]))
def test_a_homographys_scale_and_sign_do_not_matter(factor, sign):
    pairs = ((100, 500, -5, 5), (860, 500, 5, 5), (300, 200, -8, 30), (660, 200, 8, 30))
    fitted = camera_of(entry(pairs=pairs)).geometry
    assert isinstance(fitted, GroundHomography)
    scaled = camera_of(entry(homography=[value * factor * sign for value in fitted.matrix])).geometry
    assert isinstance(scaled, GroundHomography)
    assert scaled.matrix == pytest.approx(fitted.matrix, rel=3e-6)
    assert scaled.matrix[6] * 480 + scaled.matrix[7] * 540 + scaled.matrix[8] == pytest.approx(1.0, abs=2e-6)
    assert camera_of(entry(homography=scaled.matrix)).geometry == scaled


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"pairs": [[0, 0, 0, 0]] * 3}, "3 pairs; a homography needs at least 4"),
        ({"pairs": [[0, 0, 0, 0], [10, 10, 1, 1], [20, 20, 2, 2], [30, 30, 3, 3]]}, "lie on a line"),
        ({"pairs": [[5, 5, 1, 1]] * 4}, "lie on a line"),
        (
            {"pairs": [[0, 540, -5, 5], [960, 540, 5, 5], [480, 300, 0, 60], [300, 100, 12, -40], [660, 100, -12, -40]]},
            "both sides of the horizon",
        ),
        ({"homography": [1e-308, 1e-308, 1e-308, 0, 1, 0, 0, 0, 1e-308]}, "singular"),
        (
            {"pairs": [[100, 500, -5, 5], [860, 500, 5, 5], [300, 200, -8, 30], [660, 200, 8, 30], [480, 300, 9, 9]]},
            "times sigma_m",
        ),
        ({"homography": [1, 0, 0, 2, 0, 0, 0, 0, 1]}, "singular"),
        ({"homography": [0] * 9}, "horizon runs through the bottom"),
        ({"homography": [1, 0, 0, 0, 1, 0, 0, 1, -540]}, "horizon runs through the bottom"),
        ({"homography": [100, 0, 0, 0, 100, 0, 0, 0, 1]}, "km from the datum"),
        ({"homography": [0.01, 0, 0, 0, 0.01, 0, 0, 0, 1], "fx": 500.0}, "fx would not be used"),
        ({"homography": [0.01, 0, 0, 0, 0.01, 0, 0, 0, 1], "distortion": [0.1, 0, 0, 0, 0]}, "distortion would not be used"),
    ],
)
def test_a_homography_that_cannot_be_is_refused(keys, said):
    with pytest.raises(ValueError, match=said):
        camera_of(entry(**keys))


def test_a_fit_of_more_pairs_than_needed_spreads_their_error():
    exact = [(u, v, u / 100 - 4.8, 40 - v / 20) for u in (0, 480, 960) for v in (200, 400, 540)]
    noisy = tuple((u, v, x + (-1) ** n * 0.05, y) for n, (u, v, x, y) in enumerate(exact))
    h = np.array(fit_homography(noisy)).reshape(3, 3)
    for u, v, x, y in exact:
        east, north, weight = h @ (u, v, 1.0)
        assert math.hypot(east / weight - x, north / weight - y) < 0.15


def test_looking_straight_down_needs_a_rotation():
    with pytest.raises(ValueError, match="give rotation instead"):
        look_at((0.0, 0.0, 5.0), (0.0, 0.0, 0.0))


def test_the_region_of_a_camera_is_kept():
    corners = ((0.0, 100.0), (960.0, 100.0), (960.0, 540.0), (0.0, 540.0))
    camera = camera_of(entry(hfov_deg=80.0, position_m=[0, 0, 5], look_at_m=[0, 9, 0], region_px=corners))
    assert camera.region_px == corners
