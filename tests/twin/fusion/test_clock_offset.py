"""Clocks that are off, drift and are set: put right by when frames arrive, and not by a backlog or a single late frame."""

import random
from itertools import pairwise

import pytest

from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, FrameObserved
from twin.fusion import ordering
from twin.fusion.clock_offset import estimated
from twin.fusion.parameters import FusionParameters
from twin.fusion.pending import OrderingState

P = FusionParameters()
T0 = 1_767_225_600 * SECOND
STEP = SECOND // 10


class Camera:
    """Ten frames a second by a clock of its own; ``error`` of the estimate after each, in seconds."""

    def __init__(self, seed=1, delay_s=0.05, clock="unsynced"):
        self.clock, self.state, self.n, self.draw, self.delay_s = clock, OrderingState(), 0, random.Random(seed), delay_s

    def delivers(self, from_s, until_s, clock_s, *, arrives_s=None):
        """Frames captured then, whose clock is ``clock_s`` off; at once, or all from ``arrives_s`` on, 100 a second."""
        errors = []
        for number, at in enumerate(range(round(from_s * SECOND), round(until_s * SECOND), STEP)):
            delay = round(SECOND * self.draw.expovariate(1 / self.delay_s)) + 20_000
            arrives = at + delay if arrives_s is None else round(arrives_s * SECOND) + number * STEP // 10
            errors.append(self.frame(at, round(clock_s * SECOND), arrives))
        return errors

    def frame(self, at, clock, arrives, sequence=None):
        self.n += sequence is None
        tick = T0 + arrives // STEP * STEP
        self.state = ordering.tick_clock(self.state, tick, ClockTicked(worker="w"), P)
        payload = FrameObserved(camera="a", frame_px=(960, 540), detector="d", clock=self.clock)
        key = DeviceKey(device="a", boot_epoch=1, sequence=sequence or self.n)
        event = ObservationEvent(site="s", key=key, occurred_at=T0 + at + clock, payload=payload)
        self.state, pending, _ = ordering.accept(self.state, event, payload, P)
        return abs(pending.at - (T0 + at)) / SECOND


@pytest.mark.parametrize("clock_s", [-30, -7, -0.2, 0, 0.2, 7, 30])
def test_a_clock_that_is_off_is_put_right_within_a_second(clock_s):
    assert max(Camera().delivers(0, 30, clock_s)[10:]) <= 0.21


@pytest.mark.parametrize("after_s", [-20, -3, 3, 20])
def test_a_clock_that_is_set_while_frames_come_is_put_right_at_once(after_s):
    camera = Camera()
    camera.delivers(0, 30, 1.0)
    assert max(camera.delivers(30, 60, 1.0 + after_s)[10:]) <= 0.21


@pytest.mark.parametrize("after_s", [-20, -3, 3, 20])
def test_a_clock_that_is_set_during_a_silence_is_put_right_within_some_seconds(after_s):
    camera = Camera()
    camera.delivers(0, 30, 1.0)
    assert max(camera.delivers(60, 90, 1.0 + after_s)[70:]) <= 0.21


def test_a_backlog_after_a_silence_is_of_its_own_time():
    camera = Camera()
    camera.delivers(0, 30, 1.0)
    assert max(camera.delivers(30, 60, 1.0, arrives_s=60)) <= 0.21
    assert max(camera.delivers(60, 70, 1.0)) <= 0.21


def test_a_worker_that_becomes_slow_is_not_taken_for_a_clock():
    camera = Camera()
    camera.delivers(0, 30, 1.0)
    slow = [(at, min(4 * SECOND, (at - 30 * SECOND) // 2)) for at in range(30 * SECOND, 60 * SECOND, STEP)]
    errors = [camera.frame(at, SECOND, at + delay) for at, delay in slow]
    assert max(errors) <= 0.21


def test_a_single_frame_that_says_an_earlier_time_sets_no_clock():
    camera = Camera()
    camera.delivers(0, 30, 1.0)
    camera.frame(3 * SECOND, SECOND, 30 * SECOND)
    assert max(camera.delivers(30, 40, 1.0)) <= 0.21


@pytest.mark.parametrize("after_s", [-20, 20])
def test_a_frame_from_before_the_clock_was_set_that_comes_late_keeps_its_time(after_s):
    camera = Camera()
    camera.delivers(0, 30, 1.0)
    camera.n += 1
    held = camera.n
    camera.delivers(30.1, 33, 1.0 + after_s)
    assert camera.frame(30 * SECOND, SECOND, 33 * SECOND, sequence=held) <= (0.21 if after_s < 0 else 20.21)
    assert max(camera.delivers(33, 40, 1.0 + after_s)) <= 0.21


def test_drift_is_followed():
    camera = Camera()
    errors = [camera.delivers(second, second + 1, second * 200e-6) for second in range(0, 1_200, 4)]
    assert max(max(one) for one in errors[1:]) <= 0.25


def test_how_fast_a_clock_runs_is_told_once_it_was_watched_for_ten_minutes():
    for ppm in (200, -50, 0):
        camera = Camera()
        for start in range(0, 840, 10):
            camera.delivers(start, start + 10, 1.0 + ppm * 1e-6 * start)
            watch = camera.state.cameras["a"]
            assert start < 600 or watch.gains_ppm is None or abs(watch.gains_ppm - ppm) < 15
        assert abs(watch.gains_ppm - ppm) < 15
        camera.delivers(1450, 1700, 30.0)  # the clock is set while the camera is silent
        assert camera.state.cameras["a"].gains_ppm is None
        camera.delivers(1700, 2500, 30.0)
        assert abs(camera.state.cameras["a"].gains_ppm) < 15


def test_a_silence_after_the_first_minute_does_not_bend_how_fast_a_clock_runs():
    camera = Camera()
    for start in (*range(0, 60, 10), *range(3600, 4400, 10)):
        camera.delivers(start, start + 10, 1.0 - 100e-6 * start)
    assert abs(camera.state.cameras["a"].gains_ppm + 100) < 15


def test_an_estimate_is_told_when_it_has_changed_by_half_a_tick():
    camera, told = Camera(), []
    for start in range(400):
        before = camera.state.cameras.get("a")
        camera.delivers(start, start + 1, 2.0 + 300e-6 * start)
        fact = estimated(before, camera.state.cameras["a"], "a")
        if fact is not None:
            told.append(fact)
    assert all(abs(b.offset_us - a.offset_us) >= 50_000 for a, b in pairwise(told))
    assert 2 <= len(told) <= 5
    assert told[-1].offset_us == pytest.approx(-2.12 * SECOND, abs=0.21 * SECOND)
    assert not any(fact.was_set for fact in told)


@pytest.mark.parametrize("settled_s", [30, 400])
@pytest.mark.parametrize("to_s", [9.0, -9.0])
def test_that_a_clock_was_set_is_told_with_its_new_offset(settled_s, to_s):
    camera, told = Camera(), []
    camera.delivers(0, settled_s, 2.0)
    for step in range(400):
        before = camera.state.cameras["a"]
        camera.delivers(settled_s + step / 10, settled_s + (step + 1) / 10, to_s)
        told.append(estimated(before, camera.state.cameras["a"], "a"))
    told = [fact for fact in told if fact is not None]
    assert [fact.was_set for fact in told].count(True) == 1
    assert told[-1].offset_us == pytest.approx(-to_s * SECOND, abs=0.21 * SECOND)


@pytest.mark.parametrize(("clock", "clock_s"), [("unsynced", 0.1), ("ntp", 5.0), ("ptp", -5.0)])
def test_a_clock_within_the_deadband_or_of_a_trusted_kind_is_not_spoken_of(clock, clock_s):
    camera = Camera(clock=clock)
    camera.delivers(0, 30, clock_s)
    assert estimated(None, camera.state.cameras["a"], "a") is None
