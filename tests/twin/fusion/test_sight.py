"""What a camera must see: not what a nearer box lies over, and not what one that was missed for a moment lies over."""

import numpy as np
import pytest

from twin.events.observations import DetectedBox, FrameObserved
from twin.fusion.frame import Measured, Seen
from twin.fusion.pending import PendingFrame
from twin.fusion.sight import boxes_of, cover_of, is_hidden, shown, visible
from twin.spatial.placement import corners_of

BEHIND = (100.0, 100.0, 200.0, 160.0)


def box(x1, x2, bottom, name="other"):
    return DetectedBox(tracklet=name, kind="car", score=0.9, box_px=(x1, 90.0, x2, bottom), box_sigma_px=(1.0, 1.0))


def frame(*boxes):
    measured = tuple(Measured(one, (0.0, 0.0), (1.0, 0.0, 1.0), True) for one in boxes)
    return Seen(0, None, "ground", None, measured, (), corners_of(boxes))


@pytest.mark.parametrize(
    ("before", "hidden"),
    [
        (box(150.0, 260.0, 190.0), True),  # half of it
        (box(170.0, 260.0, 190.0), False),  # less than two fifths
        (box(100.0, 260.0, 158.0), False),  # its lower edge is higher: it is behind
        (box(150.0, 260.0, 190.0, "own"), False),
    ],
)
def test_a_nearer_box_hides_what_it_lies_over(before, hidden):
    assert is_hidden(BEHIND, ("own",), boxes_of(frame(before))) == hidden


def test_two_boxes_hide_together():
    left, right = box(100.0, 125.0, 190.0), box(175.0, 230.0, 190.0)
    assert not is_hidden(BEHIND, (), boxes_of(frame(left)))
    assert is_hidden(BEHIND, (), boxes_of(frame(left, right)))


_UNDER, _BESIDE = (150.0, 130.0), (300.0, 130.0)
"""Places behind a box of 100..200 x 90..190, and beside it."""


def test_a_vehicle_s_own_box_does_not_hide_it():
    pending = PendingFrame(0, "c", 1, 1, "e", FrameObserved(camera="c", frame_px=(640, 480), detector="d", clock="ntp"))
    boxes = [box(100.0, 200.0, 190.0, "mine"), box(290.0, 310.0, 190.0)]
    seen = Seen(0, pending, "ground", None, (), (), corners_of([]))
    pixels = np.array([_UNDER, _UNDER, _BESIDE, (2.0, 130.0), (np.nan, np.nan)])
    own = [("mine",), (), ("mine",), (), ()]
    is_shown = shown(seen, pixels)
    assert is_shown.tolist() == [True, True, True, False, False]
    assert visible(pixels, is_shown, own, cover_of(seen, boxes)) == [0], "the last two are in no clear view at all"
    assert shown(seen, pixels[3:]) is None
