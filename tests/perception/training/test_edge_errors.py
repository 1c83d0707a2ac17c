import numpy as np
import pytest

from perception.box_sigma import BoxSigma
from perception.training.edge_errors import edge_errors, table
from perception.training.frames_dataset import FrameTruth


def test_errors_are_shares_of_the_whole_vehicles_sides(truth):
    frame = FrameTruth(
        "a.jpg", 1, "day", False, 0.0, (320, 180), (truth((10, 20, 50, 40)), truth((200, 20, 240, 60), visible=0.3))
    )
    boxes = np.array([(14.0, 20.0, 50.0, 42.0), (200.0, 20.0, 240.0, 60.0)])
    sides, errors = edge_errors(boxes, frame)
    assert sides == pytest.approx([40, 20, 40, 20])  # the second is too hidden
    assert errors == pytest.approx([0.1, 0.0, 0.0, 0.1])


def test_boxes_that_meet_no_vehicle_say_nothing(truth):
    frame = FrameTruth("a.jpg", 1, "day", False, 0.0, (320, 180), (truth((10, 20, 50, 40)),))
    assert [len(part) for part in edge_errors(np.array([(200.0, 100.0, 240.0, 140.0)]), frame)] == [0, 0]
    assert [len(part) for part in edge_errors(np.zeros((0, 4)), frame)] == [0, 0]


def test_the_table_recovers_a_known_spread_and_keeps_the_usual_where_nothing_was_seen():
    rng = np.random.default_rng(1)
    sides = np.full(5000, 32.0)
    found = table(sides, rng.normal(0, 0.08, 5000))
    usual = BoxSigma()
    at = usual.side_px.index(32.0)
    assert found.share[at] == pytest.approx(0.08, rel=0.05)
    assert [share for k, share in enumerate(found.share) if k != at] == [s for k, s in enumerate(usual.share) if k != at]
