"""Observations in event time: they wait for their tick, and a tick closes by watermarks or by a logged clock.

A tick closes when the newest frame of every active camera is past its end, or when a logged clock is ``hold_us`` and the
cameras' usual delay past it.
What comes for a closed tick is late; a frame far ahead of the logged clock is refused, for it would wait for ever.
"""

from __future__ import annotations

from bisect import bisect

from msgspec.structs import replace

from twin.events.envelope import ObservationEvent
from twin.events.ids import CameraId, Micros
from twin.events.observations import ClockTicked, FrameObserved, Personal, StallClassified, TrackletEmbedded
from twin.fusion.clock_offset import delay_us, is_of_before, note, offset_us, told
from twin.fusion.parameters import FusionParameters
from twin.fusion.pending import CameraWatch, OrderingState, Pending, PendingFrame, PendingLook, PendingScore, Tick
from twin.fusion.plates import read

_NEVER: Micros = -(2**62)
MAX_PENDING_TICKS = 2_000
"""Ticks that may wait; beyond it the oldest close. Reached only without a clock, when one camera stops for minutes."""


def accept(
    state: OrderingState, event: ObservationEvent, frame: FrameObserved, parameters: FusionParameters
) -> tuple[OrderingState, PendingFrame, int | None]:
    """Take a frame into its tick.

    Returns:
        The new state, the frame at its corrected time, and by how much it is late (negative: ahead) and so waits for no tick.
    """
    watch = state.cameras.get(frame.camera, CameraWatch(newest_at=_NEVER, is_active=False))
    if state.is_wall_clock and state.clock_at is not None:
        watch = note(watch, event, state.clock_at)
    if is_of_before(watch, event):
        return _accepted(state, watch, event, frame, event.occurred_at + watch.before_us, parameters)
    offset = offset_us(watch, frame.clock, parameters.deadband_us)
    watch, at = told(replace(watch, delay_us=delay_us(watch, offset), offset_us=offset)), event.occurred_at + offset
    return _accepted(state, watch, event, frame, at, parameters)


def _accepted(
    state: OrderingState,
    watch: CameraWatch,
    event: ObservationEvent,
    frame: FrameObserved,
    at: Micros,
    parameters: FusionParameters,
) -> tuple[OrderingState, PendingFrame, int | None]:
    pending = PendingFrame(at, frame.camera, event.key.boot_epoch, event.key.sequence, event.id, frame)
    if state.is_wall_clock and state.clock_at is not None and at > state.clock_at + parameters.ahead_us:
        return state, pending, state.clock_at - at
    cameras = {**state.cameras, frame.camera: replace(watch, newest_at=max(watch.newest_at, at), is_active=True)}
    state = replace(state, cameras=cameras)
    if state.closed_at is not None and at < state.closed_at:
        return state, pending, state.closed_at - at
    return replace(state, pending=with_one(state.pending, pending, parameters)), pending, None


def accept_look(
    state: OrderingState,
    event: ObservationEvent,
    payload: TrackletEmbedded,
    personal: Personal | None,
    parameters: FusionParameters,
) -> tuple[OrderingState, PendingLook | None, int | None]:
    """Take a look at a tracklet into the tick of its frame; returns as ``accept``. An erased look is nothing."""
    plate = None if personal is None or personal.plate is None else read(personal.plate.text, personal.plate.score)
    if personal is None or not (personal.embedding or plate):
        return state, None, None
    at, key = _corrected(state, event, payload.camera), event.key
    look = PendingLook(
        *(at, payload.camera, key.boot_epoch, key.sequence, payload.tracklet),
        embedding=personal.embedding,
        embedder=payload.embedder,
        quality=payload.quality,
        plate=plate,
    )
    state, late_by = _taken(state, look, parameters)
    return state, look, late_by


def accept_score(
    state: OrderingState, event: ObservationEvent, payload: StallClassified, parameters: FusionParameters
) -> tuple[OrderingState, PendingScore, int | None]:
    """Take a score of a stall into its tick; returns as ``accept``."""
    at, key = _corrected(state, event, payload.camera), event.key
    score = PendingScore(at, payload.camera, key.boot_epoch, key.sequence, payload.stall, payload.score)
    state, late_by = _taken(state, score, parameters)
    return state, score, late_by


def _corrected(state: OrderingState, event: ObservationEvent, camera: CameraId) -> Micros:
    """When something that is not a frame was seen, by what its camera's frames are put right by."""
    watch = state.cameras.get(camera)
    return event.occurred_at + (0 if watch is None else watch.offset_us)


def _taken(
    state: OrderingState, one: PendingLook | PendingScore, parameters: FusionParameters
) -> tuple[OrderingState, int | None]:
    if state.is_wall_clock and state.clock_at is not None and one.at > state.clock_at + parameters.ahead_us:
        return state, state.clock_at - one.at
    if state.closed_at is not None and one.at < state.closed_at:
        return state, state.closed_at - one.at
    return replace(state, pending=with_one(state.pending, one, parameters)), None


def with_one(ticks: dict[int, Tick], one: Pending, parameters: FusionParameters) -> dict[int, Tick]:
    """Ticks by number, with one observation in its place; one that is there already is not there twice."""
    number = one.at // parameters.tick_us
    before = ticks.get(number, Tick())
    if one in before.frames or one in before.looks or one in before.scores:
        return ticks
    match one:
        case PendingFrame():
            place = bisect(before.frames, _order(one), key=_order)
            tick = replace(before, frames=(*before.frames[:place], one, *before.frames[place:]))
        case PendingLook():
            place = bisect(before.looks, _order(one), key=_order)
            tick = replace(before, looks=(*before.looks[:place], one, *before.looks[place:]))
        case PendingScore():
            place = bisect(before.scores, _order(one), key=_order)
            tick = replace(before, scores=(*before.scores[:place], one, *before.scores[place:]))
    return {**ticks, number: tick}


def tick_clock(state: OrderingState, at: Micros, tick: ClockTicked, parameters: FusionParameters) -> OrderingState:
    """Take a logged clock; nothing waits any more for cameras that fell silent when frames were due for the bound."""
    at = at if state.clock_at is None else max(at, state.clock_at)
    cameras: dict[CameraId, CameraWatch] = {
        name: replace(watch, is_active=False)
        if watch.is_active and at > watch.newest_at + watch.delay_us + parameters.idle_us
        else watch
        for name, watch in state.cameras.items()
    }
    return replace(state, cameras=cameras, clock_at=at, is_wall_clock=tick.source == "wall")


def close(state: OrderingState, parameters: FusionParameters) -> tuple[OrderingState, list[tuple[int, Tick]]]:
    """Close what can be closed; returns the closed ticks with their numbers, oldest first."""
    until = _closable_until(state, parameters)
    if until is None or (state.closed_at is not None and until <= state.closed_at):
        return state, []
    numbers = sorted(number for number in state.pending if (number + 1) * parameters.tick_us <= until)
    ticks = [(number, state.pending[number]) for number in numbers]
    if not ticks:
        return replace(state, closed_at=until), []
    closed = {number for number, _ in ticks}
    waiting = {number: tick for number, tick in state.pending.items() if number not in closed}
    return replace(state, pending=waiting, closed_at=until), ticks


def _closable_until(state: OrderingState, parameters: FusionParameters) -> Micros | None:
    active = [watch for watch in state.cameras.values() if watch.is_active]
    ends = [min([watch.newest_at for watch in active])] if active else []
    if state.clock_at is not None:
        delay = max([watch.delay_us for watch in active]) if active else 0
        ends.append(state.clock_at - parameters.hold_us - delay)
    if len(state.pending) > MAX_PENDING_TICKS:
        ends.append((min(state.pending) + 1) * parameters.tick_us)
    return max(ends) // parameters.tick_us * parameters.tick_us if ends else None


def _order(one: Pending) -> tuple[Micros, CameraId, int, int]:
    return one.at, one.camera, one.boot_epoch, one.sequence
