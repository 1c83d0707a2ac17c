import numpy as np
import pytest

from perception.training.average_precision import average_precision, judge

HERE, THERE, NOWHERE = (0, 0, 10, 10), (50, 0, 60, 10), (90, 90, 99, 99)


def judged(boxes, scores, truths, wanted=None):
    wanted = [True] * len(truths) if wanted is None else wanted
    return judge(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(truths, np.float32).reshape(-1, 4),
        np.array(wanted, bool),
        0.5,
    )


def test_every_vehicle_found_and_nothing_else_is_one():
    assert average_precision([judged([HERE, THERE], [0.9, 0.8], [HERE, THERE])]) == pytest.approx(1.0)


def test_half_the_vehicles_found_fill_the_recalls_up_to_a_half():
    # recall 0, 0.01, … 0.50 are 51 of the 101 points
    assert average_precision([judged([HERE], [0.9], [HERE, THERE])]) == pytest.approx(51 / 101)


def test_a_false_box_before_the_true_one_halves_the_precision():
    assert average_precision([judged([NOWHERE, HERE], [0.9, 0.5], [HERE])]) == pytest.approx(0.5)


def test_a_false_box_after_all_true_ones_costs_nothing():
    assert average_precision([judged([NOWHERE, HERE], [0.2, 0.5], [HERE])]) == pytest.approx(1.0)


def test_a_dip_in_precision_is_levelled_by_what_comes_after():
    # hit, false, hit: precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1; the points over 0.5 read 2/3
    found = judged([HERE, NOWHERE, THERE], [0.9, 0.8, 0.7], [HERE, THERE])
    assert average_precision([found]) == pytest.approx((51 * 1.0 + 50 * 2 / 3) / 101)


def test_boxes_of_all_pictures_are_ranked_together():
    # the false box of the second picture ranks before the hit of the first
    assert average_precision([judged([HERE], [0.5], [HERE]), judged([NOWHERE], [0.9], [])]) == pytest.approx(0.5)


def test_a_second_box_on_a_found_vehicle_is_false():
    assert judged([HERE, HERE], [0.9, 0.8], [HERE]).truth.tolist() == [0, -1]


def test_the_best_overlap_is_taken_first():
    near = (0, 0, 10, 8)
    assert judged([near], [0.9], [HERE, near]).truth.tolist() == [1]


def test_a_box_on_an_ignored_vehicle_counts_neither_way():
    found = judged([THERE, HERE], [0.9, 0.5], [HERE, THERE], wanted=[True, False])
    assert found.truth.tolist() == [-2, 0]
    assert found.n_wanted == 1
    assert average_precision([found]) == pytest.approx(1.0)


def test_a_wanted_vehicle_is_preferred_to_an_ignored_one_that_overlaps_more():
    near = (0, 0, 10, 8)
    assert judged([HERE], [0.9], [HERE, near], wanted=[False, True]).truth.tolist() == [1]


def test_boxes_below_the_least_overlap_are_false():
    assert judged([(0, 0, 10, 4.9)], [0.9], [HERE]).truth.tolist() == [-1]


def test_no_detection_at_all_is_zero():
    assert average_precision([judged([], [], [HERE])]) == 0.0


def test_without_a_wanted_vehicle_there_is_no_figure():
    assert average_precision([judged([HERE], [0.9], [])]) is None
