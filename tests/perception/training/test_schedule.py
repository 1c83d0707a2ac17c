import pytest

from perception.training.schedule import average_decay, epochs_that_fit, learning_rate


def test_the_rate_rises_to_its_peak_and_falls_to_a_fiftieth():
    rates = [learning_rate(step / 1000, 1.0) for step in range(1001)]
    peak = max(range(1001), key=rates.__getitem__)
    assert rates[peak] == pytest.approx(1.0)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == pytest.approx(0.02)


def test_the_average_forgets_fast_at_first_and_slowly_later():
    assert average_decay(0, 0.999) < 0.01
    assert average_decay(100_000, 0.999) == pytest.approx(0.999)


def test_the_epochs_that_fit_leave_a_reserve_of_the_budget():
    assert epochs_that_fit(1000.0, 95.9, lambda progress: 1.0) == 10
    assert epochs_that_fit(1000.0, 96.1, lambda progress: 1.0) == 9
    assert epochs_that_fit(1.0, 97.0, lambda progress: 1.0) == 1


def test_cheap_epochs_make_room_for_more():
    # 10 full epochs of time: 14 are 6 at a third and 8 full ones, 10 in all; 15 would be 6 and 9
    assert epochs_that_fit(1000.0, 95.9, lambda progress: 1 / 3 if progress < 0.4 else 1.0) == 14


def test_epochs_that_are_done_are_counted_and_at_least_one_follows():
    assert epochs_that_fit(500.0, 95.9, lambda progress: 1.0, done=7) == 12
    assert epochs_that_fit(-5.0, 95.9, lambda progress: 1.0, done=7) == 8
