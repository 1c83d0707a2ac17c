"""What a camera must see: not what a nearer box lies over, and not what one that was missed for a moment lies over."""

import pytest

from twin.events.observations import DetectedBox
from twin.fusion.frame import Measured, Seen
from twin.fusion.sight import boxes_of, is_hidden

BEHIND = (100.0, 100.0, 200.0, 160.0)


def box(x1, x2, bottom, name="other"):
    return DetectedBox(tracklet=name, kind="car", score=0.9, box_px=(x1, 90.0, x2, bottom), box_sigma_px=(1.0, 1.0))


def frame(*boxes):
    measured = tuple(Measured(one, (0.0, 0.0), (1.0, 0.0, 1.0), True) for one in boxes)
    return Seen(0, None, "ground", None, measured, ())


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
