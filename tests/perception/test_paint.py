"""The colour of a drawn vehicle on asphalt, without a model."""

import cv2
import numpy as np
import pytest

from perception.paint import PlainPaint, plain_colour

ASPHALT = (108, 108, 108)  # blue, green, red: sRGB of a reflectance of 0.15 in full light


def drawn(paint, *, light: float = 1.0) -> np.ndarray:
    """A body with dark windows, tyres and red lamps, on asphalt, in a share of full light."""
    view = np.full((120, 200, 3), ASPHALT, np.uint8)
    cv2.ellipse(view, (100, 62), (88, 48), 0, 0, 360, paint, -1)
    cv2.rectangle(view, (60, 25), (140, 45), (40, 38, 36), -1)
    cv2.circle(view, (50, 104), 12, (25, 25, 25), -1)
    cv2.circle(view, (150, 104), 12, (25, 25, 25), -1)
    cv2.rectangle(view, (14, 60), (22, 70), (20, 20, 220), -1)
    return (255 * (view / 255.0) * light ** (1 / 2.2)).astype(np.uint8)


PAINTS = {
    "red": (40, 30, 170),
    "green": (60, 120, 40),
    "blue": (160, 70, 30),
    "yellow": (30, 190, 220),
    "black": (32, 30, 30),
    "white": (240, 240, 240),
}


@pytest.mark.parametrize("light", [1.0, 0.4])
@pytest.mark.parametrize(("name", "paint"), PAINTS.items())
def test_a_plain_colour_is_told_in_full_light_and_in_less(name, paint, light):
    told = PlainPaint().read(drawn(paint, light=light))
    assert (told.colour.name, told.colour.score, told.body) == (name, 0.6, None)


@pytest.mark.parametrize("paint", [(150, 150, 150), (110, 118, 130)])
def test_what_is_between_is_not_told(paint):
    assert plain_colour(drawn(paint)) is None


@pytest.mark.parametrize("size_px", [(1, 1), (3, 200)])
def test_a_view_of_any_size_is_looked_at(size_px):
    assert plain_colour(np.zeros((*size_px, 3), np.uint8)) in (None, "black")
