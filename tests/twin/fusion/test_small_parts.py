"""Arithmetic, looks, clocks, ordering and portals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from site_models.schema import Portal
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, FrameObserved
from twin.fusion import ordering
from twin.fusion.arithmetic import micro, mm
from twin.fusion.clock_offset import LONGEST_DELAY, delay_us, observe
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission
from twin.fusion.gating import ln1
from twin.fusion.motion import born
from twin.fusion.parameters import FusionParameters
from twin.fusion.pending import CameraWatch, OrderingState
from twin.fusion.portals import crossings, extrapolated
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrailPoint

P = FusionParameters()
T0 = 1_767_268_800 * SECOND


@given(st.floats(1e-9, 1e9))
def test_the_logarithm_is_that_of_the_library(value):
    assert ln1(value) == pytest.approx(math.log(value), abs=1e-8)


def test_facts_never_say_minus_zero():
    assert str(mm(-0.0001)) == "0.0"
    assert str(micro(-1e-9)) == "0.0"


def frame(camera, at, sequence=1, clock="ntp"):
    payload = FrameObserved(camera=camera, frame_px=(960, 540), detector="d", clock=clock)
    return ObservationEvent(
        site="s", key=DeviceKey(device=camera, boot_epoch=1, sequence=sequence), occurred_at=at, payload=payload
    )


def accept(state, event):
    state, _, late_by = ordering.accept(state, event, event.payload, P)
    return state, late_by


def tick(state, at, source="wall"):
    return ordering.tick_clock(state, at, ClockTicked(worker="w", source=source), P)


def close(state):
    state, ticks = ordering.close(state, P)
    return state, [tick.frames for _, tick in ticks]


def test_a_tick_closes_when_every_cameras_newest_frame_is_past_it():
    state = OrderingState()
    for camera, at in (("a", 1_000_000), ("b", 1_000_000), ("a", 1_150_000)):
        state, _ = accept(state, frame(camera, at))
        state, ticks = close(state)
        assert ticks == []
    state, _ = accept(state, frame("b", 1_110_000, 2))
    state, ticks = close(state)
    assert [[one.camera for one in group] for group in ticks] == [["a", "b"]]


def test_a_clock_closes_a_tick_that_a_camera_holds_up():
    state = OrderingState()
    for camera, at in (("a", 1_000_000), ("b", 900_000), ("a", 1_100_000)):
        state, _ = accept(state, frame(camera, at))
    state = tick(state, 1_349_999)
    state, ticks = close(state)
    assert [one.at for group in ticks for one in group] == [900_000], "the tick at 1.0 s ends at 1.1 s and is held for 0.25 s"
    state = tick(state, 1_350_000)
    state, ticks = close(state)
    assert [one.at for group in ticks for one in group] == [1_000_000]


def test_a_silent_camera_becomes_idle_and_holds_nothing_up():
    state = OrderingState()
    state, _ = accept(state, frame("a", 1_000_000))
    state, _ = accept(state, frame("b", 1_000_000))
    state = tick(state, 1_000_000 + P.idle_us)
    assert [watch.is_active for watch in state.cameras.values()] == [True, True]
    state = tick(state, 1_000_001 + P.idle_us)
    assert [watch.is_active for watch in state.cameras.values()] == [False, False]
    state, _ = accept(state, frame("a", 3_200_000, 2))
    state, _ = accept(state, frame("a", 3_400_000, 3))
    state, ticks = close(state)
    assert any(one.at == 3_200_000 for group in ticks for one in group)


def test_a_camera_whose_frames_all_come_late_is_not_idle_between_them():
    state = OrderingState()
    for number in range(300):
        at = number * SECOND // 10
        state = tick(state, at)
        assert all(watch.is_active for watch in state.cameras.values())
        if number % 8 == 0 and at >= 3 * SECOND:
            state, _ = accept(state, frame("a", at - 3 * SECOND, number + 1))


def test_a_frame_of_a_closed_tick_is_late_by_what_it_missed():
    state = OrderingState()
    state, _ = accept(state, frame("a", 1_000_000))
    state = tick(state, 2_000_000)
    state, _ = close(state)
    _, late_by = accept(state, frame("a", 900_000, 2))
    assert late_by == 1_700_000 - 900_000


def test_a_frame_far_ahead_of_the_clock_is_refused_and_closes_nothing():
    state = tick(OrderingState(), 1_000_000)
    state, late_by = accept(state, frame("a", 1_000_000 + P.ahead_us + 1))
    assert late_by < 0
    assert state.pending == {}


def test_a_camera_whose_clock_is_off_is_put_right_by_when_its_frames_arrive():
    state, at = OrderingState(), 10 * SECOND
    for n in range(50):
        state = tick(state, at + n * 100_000)
        state, late_by = accept(state, frame("a", at + n * 100_000 + 2 * SECOND, n + 1, clock="unsynced"))
        assert late_by is None
        state, _ = close(state)
    assert abs(state.cameras["a"].newest_at - (at + 49 * 100_000)) < 150_000


def delays(lags_us):
    watch = CameraWatch(newest_at=0, is_active=True)
    for number, lag_us in enumerate(lags_us):
        watch = observe(watch, lag_us, number * 100_000)
        yield delay_us(watch, 0)


def test_the_usual_delay_follows_a_worker_that_becomes_slow_and_hardly_one_late_frame():
    quick, slow = [100_000] * 50, [3 * SECOND] * 150
    *_, before, jumped = delays([*quick, 5 * SECOND])
    assert jumped - before < SECOND / 10
    *_, last = delays([*quick, *slow])
    assert last == pytest.approx(3 * SECOND, rel=0.05)
    *_, beyond = delays([*quick, *[60 * SECOND] * 500])
    assert beyond == LONGEST_DELAY


def test_years_without_a_frame_cost_nothing():
    state = OrderingState()
    state, _ = accept(state, frame("a", 1_000_000))
    state = tick(state, 10**15)
    state, ticks = close(state)
    assert len(ticks) == 1


GATE = Portal(id="gate", level="0", role="boundary", direction="both", line_m=((-3.0, 0.0), (3.0, 0.0)))


def track(points, velocity=(0.0, 0.0)):
    trail = tuple(TrailPoint(at, x, y) for at, x, y in points)
    motion = born(trail[-1].at, trail[-1].x, trail[-1].y, (0.1, 0.0, 0.1), 1.0)
    motion = type(motion)(motion.at, motion.x, motion.y, *velocity, motion.p)
    return Track(
        id=1, level="0", status="moving", motion=motion, kind="car", kind_scores={}, heading=(0.0, 0.0), born_at=0,
        first_m=(0.0, 0.0), is_inner_birth=False, hits=9, seen_at=trail[-1].at, seen_by="a", trail=trail,
    )  # fmt: skip


def walk(points):
    mine, found = track(points[:1]), []
    for n in range(1, len(points) + 1):
        mine.trail = tuple(TrailPoint(*point) for point in points[:n])
        found += crossings(mine, (GATE,), P.portal_side_m)
    return found


def test_the_time_of_a_crossing_is_interpolated_on_the_path():
    (one,) = walk([(n * 100_000, 1.0, -1.05 + 0.3 * n) for n in range(8)])
    assert (one.direction, one.at) == ("in", 350_000)
    assert one.point_m == pytest.approx((1.0, 0.0))


def test_jitter_on_the_line_crosses_once():
    ys = [-2.0, -0.3, 0.2, -0.2, 0.3, -0.4, 0.45, 0.6, 0.4, 0.7, 2.0]
    found = walk([(n * 100_000, 0.0, y) for n, y in enumerate(ys)])
    assert [one.direction for one in found] == ["in"]


def test_going_out_again_is_a_second_crossing_outwards():
    found = walk([(n * 100_000, 0.0, y) for n, y in enumerate([-1.0, 1.0, -1.0])])
    assert [one.direction for one in found] == ["in", "out"]


def test_passing_beside_the_ends_crosses_nothing():
    assert walk([(n * 100_000, 5.0, -2.0 + n) for n in range(5)]) == []


def test_who_is_lost_just_before_the_gate_and_drove_out_is_extrapolated():
    leaving = track([(0, 0.0, 2.0)], velocity=(0.0, -4.0))
    one = extrapolated(leaving, (GATE,), within_us=SECOND, is_backwards=False)
    assert (one.direction, one.at, one.is_extrapolated) == ("out", 500_000, True)
    staying = track([(0, 0.0, 2.0)], velocity=(0.0, 4.0))
    assert extrapolated(staying, (GATE,), within_us=SECOND, is_backwards=False) is None
    slow = track([(0, 0.0, 2.0)], velocity=(0.0, -1.0))
    assert extrapolated(slow, (GATE,), within_us=SECOND, is_backwards=False) is None


def test_once_a_second_is_once_a_second_whenever_frames_come(lot):
    """A camera at one frame a second never has one in the first tick of a second."""
    scene = Scene(lot, P)
    state, due = FusionState(), []
    for number in range(6):
        draft = Draft(state, scene, Emission("lot", "2", 1, lambda _: []))
        due.append([draft.is_new_second(T0 + number * SECOND + ms * 1000) for ms in (530, 630, 980)])
        state = draft.finished()
    assert due == [[True, False, False]] * 6
