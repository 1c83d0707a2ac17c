from __future__ import annotations

import numpy as np
import pytest

from perception.models import packaged_if_any
from retrieval.finder import Finding, FoundVehicle
from twin.errors import ImageRejected
from twin.picture_finder import packaged_finder


class Found:
    """Finds what it is told to, in pixels of the picture with grey around it."""

    def __init__(self, *found):
        self.found = found
        self.shape = None

    def find(self, image):
        self.shape = image.shape
        return list(self.found)


def vehicle(x1, y1, x2, y2, score=0.9, kind="car"):
    return FoundVehicle(box_px=(x1, y1, x2, y2), score=score, kind=kind)


PICTURE = np.arange(400 * 600 * 3, dtype=np.uint32).reshape(400, 600, 3).astype(np.uint8)


async def test_the_vehicle_is_cut_out_of_the_picture():
    # A quarter of 400 x 600 is put around: the box starts at (150, 100).
    finder = Found(vehicle(250, 200, 350, 260))
    subject = await Finding(finder).subject(PICTURE)
    assert finder.shape == (600, 900, 3)
    assert subject.vehicle.box_px == (100.0, 100.0, 200.0, 160.0)
    np.testing.assert_array_equal(subject.image, PICTURE[100:160, 100:200])
    assert subject.picture_px == (600, 400)


async def test_of_several_the_largest_that_is_surely_one_counts():
    far, near, doubtful = vehicle(250, 200, 270, 210), vehicle(300, 200, 500, 300), vehicle(150, 100, 750, 500, score=0.2)
    assert (await Finding(Found(far, near, doubtful)).subject(PICTURE)).vehicle.box_px == (150.0, 100.0, 350.0, 200.0)


async def test_a_large_picture_without_a_vehicle_is_refused_with_what_was_found():
    with pytest.raises(ImageRejected, match=r"in the picture of 600 x 400 pixels \(the likeliest scores 0.20"):
        await Finding(Found(vehicle(150, 100, 750, 500, score=0.2))).subject(PICTURE)


async def test_a_small_one_and_one_that_is_said_to_be_a_crop_are_taken_whole():
    crop = PICTURE[:100, :150]
    assert (await Finding(Found()).subject(crop)).image is crop
    assert (await Finding(Found()).subject(PICTURE, is_crop=True)).image is PICTURE
    assert (await Finding(None).subject(PICTURE)).vehicle is None


async def test_a_box_outside_of_the_picture_is_nothing():
    with pytest.raises(ImageRejected):
        await Finding(Found(vehicle(0, 0, 100, 90))).subject(PICTURE)


@pytest.mark.skipif(packaged_if_any("detector") is None, reason="no packaged detector")
async def test_the_packaged_detector_finds_nothing_in_a_grey_wall():
    finder = packaged_finder()
    assert finder is not None
    with pytest.raises(ImageRejected, match="no vehicle is found"):
        await Finding(finder).subject(np.full((480, 640, 3), 128, np.uint8))
