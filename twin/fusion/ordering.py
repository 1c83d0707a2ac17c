"""Frames in event time: they wait for their tick, and a tick closes by watermarks or by a logged clock.

A tick closes when the newest frame of every active camera is past its end, or when a logged clock is ``hold_us`` and the
cameras' usual delay past it.
A frame for a closed tick is late; one far ahead of the logged clock is refused as well, for it would wait for ever.
"""

from __future__ import annotations

from msgspec.structs import replace

from twin.events.envelope import ObservationEvent
from twin.events.facts import CameraStateChanged
from twin.events.ids import CameraId, Micros
from twin.events.observations import ClockTicked, FrameObserved
from twin.fusion.clock_offset import delay_us, observe, offset_us
from twin.fusion.parameters import FusionParameters
from twin.fusion.state import CameraWatch, OrderingState, PendingFrame

_NEVER: Micros = -(2**62)
Changes = list[tuple[Micros, CameraStateChanged]]
MAX_PENDING_TICKS = 2_000
"""Ticks that may wait; beyond it the oldest close. Reached only without a clock, when one camera stops for minutes."""


def accept(
    state: OrderingState, event: ObservationEvent, frame: FrameObserved, parameters: FusionParameters
) -> tuple[OrderingState, Changes, int | None]:
    """Take a frame into its tick.

    Returns:
        The new state, whether its camera came back, and by how much the frame is late (negative: ahead), or None.
    """
    watch = state.cameras.get(frame.camera, CameraWatch(newest_at=_NEVER, is_active=False))
    if state.is_wall_clock and state.clock_at is not None:
        watch = observe(watch, state.clock_at - event.occurred_at, state.clock_at)
    offset = offset_us(watch, frame.clock, parameters.deadband_us)
    watch, at = replace(watch, delay_us=delay_us(watch, offset)), event.occurred_at + offset
    if state.is_wall_clock and state.clock_at is not None and at > state.clock_at + parameters.ahead_us:
        return state, [], state.clock_at - at
    changes: Changes = [] if watch.is_active else [(at, CameraStateChanged(camera=frame.camera, state="active"))]
    cameras = {**state.cameras, frame.camera: replace(watch, newest_at=max(watch.newest_at, at), is_active=True)}
    if state.closed_at is not None and at < state.closed_at:
        return replace(state, cameras=cameras), changes, state.closed_at - at
    key = event.key
    pending = PendingFrame(at, frame.camera, key.boot_epoch, key.sequence, event.id, frame)
    number = at // parameters.tick_us
    waiting = {**state.pending, number: (*state.pending.get(number, ()), pending)}
    return replace(state, cameras=cameras, pending=waiting), changes, None


def tick_clock(
    state: OrderingState, at: Micros, tick: ClockTicked, parameters: FusionParameters
) -> tuple[OrderingState, Changes]:
    """Take a logged clock; cameras that fell silent become idle when frames are due for longer than the bound."""
    at = at if state.clock_at is None else max(at, state.clock_at)
    idle_at = {
        name: watch.newest_at + watch.delay_us + parameters.idle_us
        for name, watch in sorted(state.cameras.items())
        if watch.is_active
    }
    silent = [name for name, since_at in idle_at.items() if at > since_at]
    cameras: dict[CameraId, CameraWatch] = dict(state.cameras)
    for name in silent:
        cameras[name] = replace(cameras[name], is_active=False)
    changes: Changes = [(idle_at[name], CameraStateChanged(camera=name, state="idle")) for name in silent]
    return replace(state, cameras=cameras, clock_at=at, is_wall_clock=tick.source == "wall"), changes


def close(state: OrderingState, parameters: FusionParameters) -> tuple[OrderingState, list[tuple[PendingFrame, ...]]]:
    """Close what can be closed; returns the closed ticks' frames, each tick in (time, camera, sequence) order."""
    until = _closable_until(state, parameters)
    if until is None or (state.closed_at is not None and until <= state.closed_at):
        return state, []
    numbers = sorted(number for number in state.pending if (number + 1) * parameters.tick_us <= until)
    ticks = [tuple(sorted(state.pending[number], key=_order)) for number in numbers]
    waiting = (
        {number: frames for number, frames in state.pending.items() if number not in set(numbers)} if numbers else state.pending
    )
    return replace(state, pending=waiting, closed_at=until), ticks


def _closable_until(state: OrderingState, parameters: FusionParameters) -> Micros | None:
    marks = [watch.newest_at for watch in state.cameras.values() if watch.is_active]
    ends = [min(marks)] if marks else []
    if state.clock_at is not None:
        delay = max((watch.delay_us for watch in state.cameras.values() if watch.is_active), default=0)
        ends.append(state.clock_at - parameters.hold_us - delay)
    if len(state.pending) > MAX_PENDING_TICKS:
        ends.append((min(state.pending) + 1) * parameters.tick_us)
    return max(ends) // parameters.tick_us * parameters.tick_us if ends else None


def _order(frame: PendingFrame) -> tuple[Micros, CameraId, int, int]:
    return frame.at, frame.camera, frame.boot_epoch, frame.sequence
