"""Centres of vehicles from boxes whose lower edge is, or is not, the vehicle's own."""

import numpy as np
import pytest
from msgspec.structs import replace

from site_models.schema import Pinhole
from twin.events.observations import DetectedBox
from twin.spatial.camera import GroundCamera
from twin.spatial.footprint import centres, covered


def box(x1, y1, x2, y2, name="t"):
    return DetectedBox(tracklet=name, kind="car", score=0.9, box_px=(x1, y1, x2, y2), box_sigma_px=(1.0, 1.0))


def test_a_nearer_box_over_a_good_part_of_the_lower_edge_covers_it():
    behind = box(100, 100, 200, 150, "behind")
    before = box(150, 120, 260, 220, "before")
    beside = box(190, 120, 300, 220, "beside")
    above = box(100, 20, 200, 90, "above")
    assert covered([behind], [behind, before]).tolist() == [True]
    assert covered([behind, before], [behind, beside, above]).tolist() == [False, False]
    assert covered([], [before]).tolist() == []


@pytest.fixture
def camera():
    """6 m up, looking along y and 30 degrees down."""
    down = np.radians(30)
    rotation = (1.0, 0.0, 0.0, 0.0, -np.sin(down), -np.cos(down), 0.0, np.cos(down), -np.sin(down))
    geometry = Pinhole(k=(800.0, 800.0, 480.0, 270.0), position_m=(0.0, 0.0, 6.0), rotation=tuple(float(r) for r in rotation))
    return GroundCamera(geometry, (960, 540))


@pytest.mark.parametrize("turned_deg", range(0, 360, 30))
def test_a_car_is_placed_by_its_tyres_and_bumpers_from_wherever_it_is_seen(camera, turned_deg):
    # a saloon of 4.4 x 1.8 x 1.5 m as drawn: bumpers 0.2 m up, their corners rounded, tyres within the body
    body = [(x, y, z) for z in (0.2, 1.4) for x, y in ((2.2, 0.7), (1.85, 0.9), (2.2, -0.7), (1.85, -0.9))]
    tyres = [(1.3, 0.77, 0.0), (1.3, -0.77, 0.0)]
    drawn = np.array([(sign * x, y, z) for x, y, z in (*body, *tyres) for sign in (1, -1)])
    turned = np.radians(turned_deg)
    heading = np.array([[np.cos(turned), np.sin(turned)]])
    for place in ((0.0, 9.0), (3.0, 14.0), (-6.0, 22.0)):
        across = np.stack((-heading[0, ::-1] * [1, -1], heading[0]))[0]
        ground = np.array(place) + drawn[:, :1] * heading + drawn[:, 1:2] * across
        points = camera.to_pixels(np.concatenate((ground, drawn[:, 2:]), axis=1)).points_px
        (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
        found = centres(camera, [box(x1, y1, x2, y2)], heading)
        assert np.hypot(*(found.points_m[0] - place)) < 0.25


def test_a_covered_vehicle_is_less_surely_where_its_box_says(camera):
    heading = np.array([[1.0, 0.0]])
    seen = [box(440, 200, 520, 270)]
    clear = centres(camera, seen, heading, np.array([False]))
    hidden = centres(camera, seen, heading, np.array([True]))
    assert clear.is_valid.all()
    assert np.array_equal(hidden.points_m, clear.points_m)
    assert (hidden.covariance_m2[0, [0, 2]] > clear.covariance_m2[0, [0, 2]] + 0.3).all()
    assert np.array_equal(centres(camera, seen, heading).points_m, clear.points_m)


def test_few_points_are_projected_to_the_same_bits_as_many():
    geometry = Pinhole(
        k=(700.0, 710.0, 470.0, 265.0),
        position_m=(1.0, -2.0, 5.0),
        rotation=(1.0, 0.0, 0.0, 0.0, -0.28, -0.96, 0.0, 0.96, -0.28),
        distortion=(-0.22, 0.05, 0.001, -0.002, 0.01),
    )
    camera = GroundCamera(geometry, (960, 540), sigma_m=0.2, range_m=40.0)
    rng = np.random.default_rng(5)
    pixels, sigma = rng.uniform(0, 540, (64, 2)), rng.uniform(0.5, 4, (64, 2))
    many = camera.to_ground(pixels, sigma)
    assert 10 < many.is_valid.sum() < 64
    for row in range(64):
        one = camera.to_ground(pixels[row : row + 1], sigma[row : row + 1])
        assert np.array_equal(one.points_m[0], many.points_m[row])
        assert np.array_equal(one.covariance_m2[0], many.covariance_m2[row])
        assert one.is_valid[0] == many.is_valid[row]
    places = np.concatenate((rng.uniform(-30, 30, (64, 2)), rng.uniform(0, 6, (64, 1))), axis=1)
    image = camera.to_pixels(places)
    assert 5 < image.is_in_front.sum() < 64
    for row in range(64):
        one = camera.to_pixels(places[row : row + 1])
        assert np.array_equal(one.points_px[0], image.points_px[row])
        assert one.is_in_front[0] == image.is_in_front[row]


def test_a_car_that_drives_out_of_the_frame_is_placed_by_what_is_left_of_it(camera):
    # its nearest corner is outside: the lowest tyre in the picture is farther away than the car's nearest point
    heading, ring = (
        np.array([[0.8, -0.6]]),
        np.array([(2.2, -0.7), (2.2, 0.7), (1.8, 0.9), (-2.2, 0.9), (-2.2, -0.9), (1.8, -0.9)]),
    )
    along = np.linspace(0, 1, 41)[:, None]
    drawn = np.concatenate([one + along * (other - one) for one, other in zip(ring, np.roll(ring, -1, axis=0), strict=True)])
    place = np.array((8.0, 12.0))
    across = np.array([0.6, 0.8])
    ground = place + drawn[:, :1] * heading + drawn[:, 1:] * across
    low, high = (np.concatenate((ground, np.full((len(ground), 1), up)), axis=1) for up in (0.2, 1.4))
    points = camera.to_pixels(np.concatenate((low, high))).points_px
    inside = points[points[:, 0] <= 960]
    assert 0.3 < len(inside) / len(points) < 0.9
    (x1, y1), (_, y2) = inside.min(axis=0), inside.max(axis=0)
    cut = replace(box(x1, y1, 960.0, y2), truncated=("right",))
    found = centres(camera, [cut], heading)
    assert np.hypot(*(found.points_m[0] - place)) < 0.6
    assert np.hypot(*(centres(camera, [replace(cut, truncated=())], heading).points_m[0] - place)) > 0.9
