"""How far a camera's clock is off, from when its frames arrive.

A frame arrives a short fixed time after its exposure, or later, never earlier. The least lag of a camera's frames behind
the logged clock is therefore its offset plus that time. Two windows are kept, so that drift is followed.

A clock that is set forward shows at once: its frames lag less than any before. One that is set back shows where later frames
say an earlier time, or by lagging farther than any worker for seconds on end, and no less from frame to frame as a backlog
would. After a silence in which it may have been set, half a second is far enough: a worker that became slow just then is taken
for it. Then the estimate begins anew; frames from before keep the offset of before. A single odd frame sets nothing.
"""

from __future__ import annotations

from msgspec.structs import replace

from site_models.schema import ClockSource
from twin.events.envelope import ObservationEvent
from twin.events.facts import ClockEstimated
from twin.events.ids import SECOND, CameraId, Micros
from twin.fusion.pending import CameraWatch, Shift

WINDOW: Micros = 120 * SECOND
LONG_ENOUGH: Micros = 600 * SECOND  # between two windows, for how fast a clock runs: an error of 1 ms is 2 ppm
TOLD_BY: Micros = 50_000  # a change of the offset that is said
SHORTEST_DELAY: Micros = 20_000
HALF_TICK: Micros = 50_000  # the logged clock is on average this much older than what is logged next
MEMORY = 16  # frames over which the usual lag is averaged
OUTLIER: Micros = SECOND // MEMORY  # the most that one frame changes the usual lag, however late it comes
LONGEST_DELAY: Micros = 5 * SECOND  # of an overloaded worker; beyond it a camera's frames are late for good
SET_BACK: Micros = 150_000  # a later frame that says a time so much earlier: jitter is less
SET_FORWARD: Micros = 150_000  # a lag less than any in a whole window by so much
SET_FORWARD_BY: Micros = SECOND  # where there is no such window: first frames' delays, and drift in a silence, are less
SHIFTED_FOR: Micros = 5 * SECOND  # a lag beyond ``LONGEST_DELAY`` for so long, and for so many frames, is the clock's
SHIFTED_FRAMES = 8
SET_BACK_FRAMES = 3  # in a row, where the first said an earlier time than the one before
DRAINS: Micros = 300_000  # a backlog that is worked off lags that much less meanwhile
SILENT: Micros = 2 * SECOND  # between two frames: the clock may have been set
SHIFTED_BY: Micros = SECOND // 2  # after such a silence
_TRUSTED: frozenset[ClockSource] = frozenset({"ptp", "ntp", "file"})


def observe(watch: CameraWatch, lag_us: int, clock_at: Micros) -> CameraWatch:
    """Note one frame's lag: logged clock minus the frame's own time."""
    least, least_in_window = watch.lag_us, watch.window_lag_us
    if least is None or least_in_window is None:
        return replace(watch, lag_us=lag_us, window_lag_us=lag_us, window_from_at=clock_at, usual_lag_us=lag_us)
    step = (lag_us - watch.usual_lag_us) // MEMORY
    watch = replace(watch, usual_lag_us=watch.usual_lag_us + max(-OUTLIER, min(step, OUTLIER)))
    is_settled = watch.settled_us is not None and clock_at - watch.window_from_at <= 2 * WINDOW
    if lag_us < least - (SET_FORWARD if is_settled else SET_FORWARD_BY):
        watch = replace(watch, lag_us=lag_us, window_lag_us=lag_us, window_from_at=clock_at)
        return replace(watch, settled_us=None, gains_ppm=None, n_set=watch.n_set + 1)
    if clock_at - watch.window_from_at > WINDOW:
        watch = _with_gain(watch, least_in_window, watch.window_from_at + WINDOW // 2)
        return replace(watch, lag_us=min(least_in_window, lag_us), window_lag_us=lag_us, window_from_at=clock_at)
    return replace(watch, lag_us=min(least, lag_us), window_lag_us=min(least_in_window, lag_us))


def _with_gain(watch: CameraWatch, least_us: int, middle_at: Micros) -> CameraWatch:
    """How fast the clock runs, by the least lags of two whole windows; both are off by the same fixed time."""
    if watch.settled_us is None:
        return replace(watch, settled_us=least_us, settled_at=middle_at)
    if middle_at - watch.settled_at < LONG_ENOUGH:
        return watch
    gained_us = watch.settled_us - least_us
    return replace(watch, gains_ppm=round(gained_us * SECOND / (middle_at - watch.settled_at), 1))


def note(watch: CameraWatch, event: ObservationEvent, clock_at: Micros) -> CameraWatch:
    """Note one frame, which is of the camera's clock as it is now unless it was sent before that was set."""
    key, lag_us = (event.key.boot_epoch, event.key.sequence), clock_at - event.occurred_at
    if key <= watch.set_at:
        return watch
    if key <= watch.newest:
        return observe(watch, lag_us, clock_at)
    was_silent = clock_at - watch.heard_at > SILENT
    is_set_back = watch.said_at is not None and event.occurred_at < watch.said_at - SET_BACK
    bound = SET_BACK if is_set_back else SHIFTED_BY if was_silent else LONGEST_DELAY
    watch = replace(watch, newest=key, said_at=event.occurred_at, heard_at=clock_at)
    watch = _with_shift(watch, lag_us, clock_at, bound)
    if watch.shift is not None and _is_of_clock(watch.shift, clock_at):
        return _anew(watch, watch.shift, clock_at)
    return observe(watch, lag_us, clock_at)


def is_of_before(watch: CameraWatch, event: ObservationEvent) -> bool:
    """Whether a frame was sent before the camera's clock was last set."""
    return (event.key.boot_epoch, event.key.sequence) < watch.set_at


def _with_shift(watch: CameraWatch, lag_us: int, clock_at: Micros, bound_us: int) -> CameraWatch:
    """Follow a lag that is larger than the least by more than a bound, from when it is no longer shrinking."""
    shift = watch.shift
    begins = shift is None or bound_us < LONGEST_DELAY
    bound_us = bound_us if shift is None else min(bound_us, shift.bound_us)
    if watch.lag_us is None or lag_us <= watch.lag_us + bound_us:
        return watch if shift is None else replace(watch, shift=None)
    if shift is None or begins or lag_us < shift.first_us - DRAINS:
        return replace(watch, shift=Shift(watch.newest, clock_at, lag_us, lag_us, 1, bound_us))
    least = min(shift.least_us, lag_us)
    return replace(watch, shift=replace(shift, least_us=least, n_frames=shift.n_frames + 1))


def _is_of_clock(shift: Shift, clock_at: Micros) -> bool:
    """Whether it is the clock that lags, and not a frame or a backlog."""
    if shift.bound_us == SET_BACK:
        return shift.n_frames >= SET_BACK_FRAMES
    return clock_at - shift.from_at >= SHIFTED_FOR and shift.n_frames >= SHIFTED_FRAMES


def _anew(watch: CameraWatch, shift: Shift, clock_at: Micros) -> CameraWatch:
    """The clock was set: what lags were before says nothing of it now. How late frames come is as it was."""
    before = shift.least_us if watch.lag_us is None else watch.lag_us
    return replace(
        watch,
        lag_us=shift.least_us,
        window_lag_us=shift.least_us,
        window_from_at=clock_at,
        usual_lag_us=watch.usual_lag_us + shift.least_us - before,
        set_at=shift.since,
        before_us=watch.offset_us,
        shift=None,
        settled_us=None,
        gains_ppm=None,
        n_set=watch.n_set + 1,
    )


def offset_us(watch: CameraWatch, clock: ClockSource, deadband_us: int) -> int:
    """What to add to a camera's times: 0 for a trusted clock, or where the estimate is within the deadband."""
    if clock in _TRUSTED or watch.lag_us is None:
        return 0
    offset = watch.lag_us + HALF_TICK - SHORTEST_DELAY
    return offset if abs(offset) > deadband_us else 0


def estimated(before: CameraWatch | None, watch: CameraWatch, camera: CameraId) -> ClockEstimated | None:
    """What there is to say of a camera's clock after another frame; None where nothing has changed by much."""
    told_us = 0 if before is None else before.told_us
    if watch.told_us == told_us:
        return None
    was_set = before is not None and before.n_set != watch.n_set
    return ClockEstimated(camera=camera, offset_us=watch.told_us, gains_ppm=watch.gains_ppm, was_set=was_set)


def told(watch: CameraWatch) -> CameraWatch:
    """With the offset that is said to hold now."""
    return replace(watch, told_us=watch.offset_us) if abs(watch.offset_us - watch.told_us) >= TOLD_BY else watch


def delay_us(watch: CameraWatch, offset: int) -> int:
    """How late a camera's frames usually come, its clock put right by ``offset``; at most ``LONGEST_DELAY``."""
    return min(max(watch.usual_lag_us + offset, 0), LONGEST_DELAY)
