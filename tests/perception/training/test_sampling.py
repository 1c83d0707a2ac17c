import numpy as np
import pytest

from perception.training.sampling import epoch_order, repeat_factors

CAR, BUS = np.array([0, 0, 0]), np.array([0, 1])


def test_frames_with_a_rare_kind_come_more_often():
    # buses are in a tenth of the frames: the root of 0.4 / 0.1 is 2
    assert repeat_factors([BUS, *[CAR] * 9], 2).tolist() == pytest.approx([2.0, *[1.0] * 9])


def test_a_very_rare_kind_comes_four_times_at_most():
    assert repeat_factors([BUS, *[CAR] * 999], 2).max() == 4.0


def test_frames_without_targets_come_once():
    assert repeat_factors([np.zeros(0, np.int64), BUS], 2).tolist() == [1.0, 1.0]


def test_a_fraction_is_the_chance_of_one_more():
    factors = np.array([1.0, 2.5])
    orders = [epoch_order(factors, epoch, seed=1) for epoch in range(400)]
    assert all(order.count(0) == 1 and order.count(1) in (2, 3) for order in orders)
    assert np.mean([order.count(1) for order in orders]) == pytest.approx(2.5, abs=0.1)


def test_an_epochs_order_is_its_own_and_the_same_in_every_run():
    factors = np.ones(50)
    assert epoch_order(factors, 1, seed=1) == epoch_order(factors, 1, seed=1)
    assert epoch_order(factors, 1, seed=1) != epoch_order(factors, 2, seed=1)
    assert sorted(epoch_order(factors, 1, seed=1)) == list(range(50))
