"""How far a camera's clock is off, from when its frames arrive.

A frame arrives a short fixed time after its exposure, or later, never earlier. The least lag of a camera's frames behind
the logged clock is therefore its offset plus that time. Two windows are kept, so that drift is followed.
"""

from __future__ import annotations

from msgspec.structs import replace

from site_models.schema import ClockSource
from twin.events.ids import SECOND, Micros
from twin.fusion.state import CameraWatch

WINDOW: Micros = 120 * SECOND
SHORTEST_DELAY: Micros = 20_000
HALF_TICK: Micros = 50_000  # the logged clock is on average this much older than what is logged next
MEMORY = 16  # frames over which the usual lag is averaged
OUTLIER: Micros = SECOND // MEMORY  # the most that one frame changes the usual lag, however late it comes
LONGEST_DELAY: Micros = 5 * SECOND  # of an overloaded worker; beyond it a camera's frames are late for good
_TRUSTED: frozenset[ClockSource] = frozenset({"ptp", "ntp", "file"})


def observe(watch: CameraWatch, lag_us: int, clock_at: Micros) -> CameraWatch:
    """Note one frame's lag: logged clock minus the frame's own time."""
    least, least_in_window = watch.lag_us, watch.window_lag_us
    if least is None or least_in_window is None:
        return replace(watch, lag_us=lag_us, window_lag_us=lag_us, window_from_at=clock_at, usual_lag_us=lag_us)
    step = (lag_us - watch.usual_lag_us) // MEMORY
    watch = replace(watch, usual_lag_us=watch.usual_lag_us + max(-OUTLIER, min(step, OUTLIER)))
    if clock_at - watch.window_from_at > WINDOW:
        return replace(watch, lag_us=min(least_in_window, lag_us), window_lag_us=lag_us, window_from_at=clock_at)
    return replace(watch, lag_us=min(least, lag_us), window_lag_us=min(least_in_window, lag_us))


def offset_us(watch: CameraWatch, clock: ClockSource, deadband_us: int) -> int:
    """What to add to a camera's times: 0 for a trusted clock, or where the estimate is within the deadband."""
    if clock in _TRUSTED or watch.lag_us is None:
        return 0
    offset = watch.lag_us + HALF_TICK - SHORTEST_DELAY
    return offset if abs(offset) > deadband_us else 0


def delay_us(watch: CameraWatch, offset: int) -> int:
    """How late a camera's frames usually come, its clock put right by ``offset``; at most ``LONGEST_DELAY``."""
    return min(max(watch.usual_lag_us + offset, 0), LONGEST_DELAY)
