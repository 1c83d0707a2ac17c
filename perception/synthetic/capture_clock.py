"""When a camera's frames were really taken, found from the output and the truth alone.

Arrivals bound the clock from one side: a frame cannot arrive before it was taken, so the line below all (capture by the
camera's clock, arrival minus capture) that comes nearest to them follows the clock's drift (Moon, Skelly, Towsley 1999,
"Estimation and removal of clock skew from network delay measurements"). How far that line lies from the true time, which is
the fixed part of the delay, shows in moving vehicles: their boxes lead or lag the truth by it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.events.ids import Micros

Times = NDArray[np.int64]
Floats = NDArray[np.float64]


class CaptureClock(NamedTuple):
    """True time of a capture: what the camera's clock says, corrected.

    Attributes:
        start_at: the camera's clock at which ``offset_us`` holds.
        offset_us: how far the clock is ahead then.
        drift: microseconds it gains each microsecond.
    """

    start_at: Micros
    offset_us: float
    drift: float

    def captured_at(self, occurred_at: Times) -> Times:
        """True times of moments by the camera's clock."""
        return occurred_at - np.rint(self.offset_us + self.drift * (occurred_at - self.start_at)).astype(np.int64)

    def later(self, by_us: float) -> CaptureClock:
        """The clock whose true times are that much later."""
        return self._replace(offset_us=self.offset_us - by_us)


def earliest_clock(occurred_at: Times, arrival_at: Times) -> CaptureClock:
    """The clock by which the quickest frames took no time at all to arrive.

    Args:
        occurred_at, arrival_at: (F,) of at least one frame, in order of ``occurred_at``.
    """
    start_at = int(occurred_at[0])
    x, y = (occurred_at - start_at).astype(float), (arrival_at - occurred_at).astype(float)
    hull = _lower_hull(x, y)
    after = min(max(int(np.searchsorted(x[hull], x.mean())), 1), len(hull) - 1) if len(hull) > 1 else 0
    if after == 0:
        return CaptureClock(start_at, -float(y.min()), 0.0)
    one, other = hull[after - 1], hull[after]
    slope = (y[other] - y[one]) / (x[other] - x[one])
    return CaptureClock(start_at, -float(y[one] - slope * x[one]), -float(slope))


def _lower_hull(x: Floats, y: Floats) -> list[int]:
    """Indices of the lower convex hull of points that are sorted by x."""
    hull = list[int]()
    for index in range(len(x)):
        if hull and x[index] == x[hull[-1]]:
            continue
        while len(hull) > 1 and _turns_down(x, y, hull[-2], hull[-1], index):
            hull.pop()
        hull.append(index)
    return hull


def _turns_down(x: Floats, y: Floats, one: int, middle: int, last: int) -> bool:
    return bool((y[middle] - y[one]) * (x[last] - x[one]) >= (y[last] - y[one]) * (x[middle] - x[one]))
