"""Figures with their 95 % intervals, from parts that runs can be pooled by.

A part is a row of sums of one independent unit: a vehicle, a stay, a stall. A figure is a function of the summed rows, so that
of several runs is that of all their rows, and its interval that of rows drawn again (bootstrap), or Wilson's for plain shares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perception.synthetic.intervals import NOTHING, Estimate, resampled, share
from twin.evaluation.grid import Floats, Ints

_BINS = 2000
_RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class Sums:
    """A figure of sums.

    Attributes:
        parts: (G, K) what each unit adds.
        figure: of the (K,) sums.
        n: on how many samples it rests.
    """

    parts: Floats
    figure: Callable[[Floats], float]
    n: int

    def pooled(self, others: Sequence[Sums]) -> Sums:
        """With the units of other runs."""
        every = [self, *others]
        return Sums(parts=np.concatenate([one.parts for one in every]), figure=self.figure, n=sum(one.n for one in every))

    def estimate(self) -> Estimate:
        """The figure, with a bootstrap's interval over the units."""
        return resampled(self.parts, self.figure, self.n) if self.n else NOTHING


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of independent trials."""

    n_hits: int
    n: int

    def pooled(self, others: Sequence[Share]) -> Share:
        """With the trials of other runs."""
        return Share(n_hits=self.n_hits + sum(one.n_hits for one in others), n=self.n + sum(one.n for one in others))

    def estimate(self) -> Estimate:
        """The share, with Wilson's interval."""
        return share(self.n_hits, self.n)


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """A quantile of values, those of one unit depending on each other.

    Attributes:
        values: (N,).
        unit: (N,) numbers of the units, from 0.
        q: 0..1.
    """

    values: Floats
    unit: Ints
    q: float

    def pooled(self, others: Sequence[Quantile]) -> Quantile:
        """With the values of other runs, whose units are others."""
        values, units, n_units = [self.values], [self.unit], int(self.unit.max(initial=-1)) + 1
        for one in others:
            values.append(one.values)
            units.append(one.unit + n_units)
            n_units += int(one.unit.max(initial=-1)) + 1
        return Quantile(values=np.concatenate(values), unit=np.concatenate(units), q=self.q)

    def estimate(self) -> Estimate:
        """The quantile, with a bootstrap's interval over the units; values are told apart to 1 in 2,000 for the interval."""
        if not len(self.values):
            return NOTHING
        value = float(np.quantile(self.values, self.q))
        edges = np.unique(np.quantile(self.values, np.linspace(0.0, 1.0, min(_BINS, len(self.values)))))
        units, unit = np.unique(self.unit, return_inverse=True)
        counts = np.zeros((len(units), len(edges)))
        np.add.at(counts, (unit, np.searchsorted(edges, self.values)), 1.0)
        rng = np.random.Generator(np.random.PCG64(1))
        drawn = rng.multinomial(len(units), np.full(len(units), 1.0 / len(units)), size=_RESAMPLES) @ counts
        below = drawn.cumsum(axis=1)
        at = (below < self.q * below[:, -1:]).sum(axis=1)
        lo, hi = np.quantile(edges[np.minimum(at, len(edges) - 1)], (0.025, 0.975))
        return Estimate(value, min(float(lo), value), max(float(hi), value), len(self.values))


Figure = Sums | Share | Quantile


def pooled(figures: Sequence[Any]) -> Any:
    """One figure of several runs' (all of the same kind)."""
    return figures[0].pooled(figures[1:])


def listed(estimate: Estimate) -> dict[str, float | None]:
    """As the report has it: JSON knows no NaN, so a figure of nothing is null."""
    numbers = {"value": estimate.value, "lo95": estimate.lo95, "hi95": estimate.hi95}
    return {name: round(number, 6) if math.isfinite(number) else None for name, number in numbers.items()}
