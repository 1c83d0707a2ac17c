"""The Jacobian of places by the errors of a camera's pose, against cameras that are turned and shifted for real."""

import numpy as np
import pytest
from msgspec.structs import replace

from site_models.camera_entries import look_at
from site_models.schema import GroundHomography, Pinhole
from twin.spatial.camera import GroundCamera
from twin.spatial.pose_error import N_ERRORS, effects, moved_by

EYE = (3.0, -7.0, 6.5)
LENS = Pinhole(k=(800.0, 800.0, 640.0, 360.0), position_m=EYE, rotation=look_at(EYE, (10.0, 9.0, 0.0)))
FRAME_PX = (1280, 720)
CAMERA = GroundCamera(LENS, FRAME_PX, elevation_m=0.5)
PLACES = [(8.0, 6.0), (3.0, 9.0), (21.0, 15.0)]
SMALL = 1e-4


def turned(axis, angle):
    """The lens as it is believed to stand, if it stands turned by less than that: its rays are turned about an axis."""
    others = [n for n in range(3) if n != axis]
    turn = np.eye(3)
    turn[np.ix_(others, others)] = [[1.0, -angle], [angle, 1.0]] if axis != 1 else [[1.0, angle], [-angle, 1.0]]
    rotation = np.array(LENS.rotation).reshape(3, 3) @ turn.T
    return replace(LENS, rotation=tuple(rotation.ravel().tolist()))


def believed(lens, place):
    """Where a lens that is taken for this one says a place is."""
    true = CAMERA.to_pixels(np.array([[*place, 0.5]])).points_px
    return GroundCamera(lens, FRAME_PX, elevation_m=0.5).to_ground(true, np.ones((1, 2))).points_m[0]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_turned_camera_moves_places_as_told(axis, place):
    moved = (believed(turned(axis, SMALL), place) - place) / SMALL
    assert moved == pytest.approx([row[axis] for row in effects(CAMERA, *place)], rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_shifted_camera_moves_places_as_told(axis):
    shifted = replace(LENS, position_m=tuple(value + SMALL * (n == axis) for n, value in enumerate(EYE)))
    moved = (believed(shifted, PLACES[0]) - PLACES[0]) / SMALL
    assert moved == pytest.approx([row[3 + axis] for row in effects(CAMERA, *PLACES[0])], abs=1e-3)


def test_what_is_always_too_far_is_so_along_the_line_of_sight():
    assert moved_by(CAMERA, (0.0,) * 5 + (0.5,), EYE[0] + 3.0, EYE[1] + 4.0) == pytest.approx((0.3, 0.4))
    assert moved_by(CAMERA, (0.0,) * 5 + (0.5,), *EYE[:2]) == (0.0, 0.0), "right below there is no line of sight"


def test_errors_add_up():
    one, other = (0.01, 0.0, 0.02, 0.1, 0.0, 0.0), (0.0, -0.01, 0.0, 0.0, 0.2, 0.3)
    both = tuple(a + b for a, b in zip(one, other, strict=True))
    parts = np.array(moved_by(CAMERA, one, *PLACES[2])) + moved_by(CAMERA, other, *PLACES[2])
    assert moved_by(CAMERA, both, *PLACES[2]) == pytest.approx(parts)


def test_a_camera_of_which_only_a_plane_is_known_has_an_ordinary_height():
    flat = GroundCamera(GroundHomography(matrix=(0.02, 0.0, -12.8, 0.0, -0.02, 14.4, 0.0, 0.0, 1.0)), FRAME_PX)
    x, y = flat.origin_m
    east, north = effects(flat, x, y + 10.0)
    assert len(east) == len(north) == N_ERRORS
    assert (east[2], north[0]) == (-10.0, 5.0 + 100.0 / 5.0)
