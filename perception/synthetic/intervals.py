"""95 % intervals of measured figures: of shares, of rates, of ranges, and of anything by resampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

_Z95 = 1.959964
_RESAMPLES = 1000

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A measured figure.

    Attributes:
        value: NaN where nothing was there to measure.
        lo95, hi95: NaN where the value is.
        n: of what it was measured on, say frames or crossings.
    """

    value: float
    lo95: float
    hi95: float
    n: int

    def holds(self, asked: float) -> bool:
        """Whether the interval holds a number; rounding errors of a figure without any spread are forgiven."""
        slack = 1e-9 * max(1.0, abs(asked)) if math.isfinite(asked) else 0.0
        return self.lo95 - slack <= asked <= self.hi95 + slack


NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def share(n_hits: int, n: int) -> Estimate:
    """A share of independent trials, with Wilson's interval."""
    if n == 0:
        return NOTHING
    p, z2 = n_hits / n, _Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    lo = 0.0 if n_hits == 0 else max(0.0, middle - half)
    hi = 1.0 if n_hits == n else min(1.0, middle + half)
    return Estimate(p, lo, hi, n)


def time_between(n_events: int, watched_s: float) -> Estimate:
    """Mean seconds between events that happen by chance, with the exact interval of a Poisson count; ``n`` counts events."""
    if watched_s <= 0:
        return NOTHING
    most = float(gammaincinv(n_events + 1, 0.975))
    hi = watched_s / float(gammaincinv(n_events, 0.025)) if n_events else math.inf
    return Estimate(watched_s / n_events if n_events else math.inf, watched_s / most, hi, n_events)


def largest(sizes: Floats) -> Estimate:
    """The bound of sizes that are even between 0 and it: no less than the largest of them, and not far above."""
    n = len(sizes)
    if n == 0:
        return NOTHING
    top = float(sizes.max())
    return Estimate(top * (n + 1) / n, top, top / 0.05 ** (1 / n), n)


def bounds(sizes: Floats, resolution: float) -> tuple[Estimate, Estimate]:
    """Both bounds of sizes that are even between them, each known up to ``resolution``."""
    n = len(sizes)
    if n < 2:
        return NOTHING, NOTHING
    low, high = float(sizes.min()), float(sizes.max())
    likely, most = (high - low) / (n - 1), (high - low) * (0.05 ** (-1 / (n - 1)) - 1)
    return (
        Estimate(low - likely, low - most - resolution, low + resolution, n),
        Estimate(high + likely, high - resolution, high + most + resolution, n),
    )


def ratio(sums: Floats) -> float:
    """The first of two sums by the second; NaN where that is 0."""
    return float(sums[0] / sums[1]) if sums[1] else math.nan


def resampled(groups: Floats, figure: Callable[[Floats], float], n: int) -> Estimate:
    """A figure of sums, with a bootstrap's interval over groups that are independent of each other.

    Args:
        groups: (G, K) what each group adds to K sums.
        figure: of the (K,) sums.
        n: what the estimate shall give as its size.
    """
    if len(groups) == 0:
        return NOTHING
    rng = np.random.Generator(np.random.PCG64(1))
    counts = rng.multinomial(len(groups), np.full(len(groups), 1.0 / len(groups)), size=_RESAMPLES)
    drawn = np.array([figure(sums) for sums in counts @ groups], dtype=float)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return NOTHING
    lo, hi = np.quantile(drawn, (0.025, 0.975))
    return Estimate(figure(groups.sum(axis=0)), float(lo), float(hi), n)
