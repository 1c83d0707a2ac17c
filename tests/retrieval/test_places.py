from __future__ import annotations

from math import inf

import pytest

from retrieval.places import CameraDistances


def test_a_drive_is_at_least_as_long_as_between_the_edges_of_two_views(street):
    metres = CameraDistances(street).metres
    # Views are 10 x 10 m, their discs have a radius of 7.1 m; centres are at 5, 205 and 395 m.
    assert metres("west", "middle") == pytest.approx(200 - 14.2, abs=1.0)
    assert metres("middle", "east") == pytest.approx(190 - 14.2, abs=1.0)


def test_against_a_one_way_street_there_is_no_way(street):
    assert CameraDistances(street).metres("east", "west") == inf


def test_within_one_view_no_drive_is_needed(street):
    assert CameraDistances(street).metres("west", "west") == 0.0


def test_views_that_touch_need_no_drive_in_either_direction(lot_cameras):
    metres = CameraDistances(lot_cameras).metres
    assert (metres("one", "two"), metres("two", "one")) == (0.0, 0.0)


def test_a_camera_that_the_site_does_not_have_proves_nothing(street):
    assert CameraDistances(street).metres("west", "phone") == 0.0


@pytest.fixture
def lot_cameras(street):
    from msgspec.structs import replace

    east, _, west = street.cameras
    matrix = (0.1, 0.0, 8.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0)
    beside = replace(east, id="two", geometry=replace(east.geometry, matrix=matrix))
    return replace(street, cameras=(replace(west, id="one"), beside))
