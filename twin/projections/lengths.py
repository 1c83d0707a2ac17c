"""How lengths of stays are spread: how many are how long, the middle, and what 95 of 100 stay under."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import floor

from msgspec import Struct

EDGES_S = (0, 60, 120, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
"""Where the bins of a histogram begin, seconds; the last one has no end."""


class LengthBin(Struct, frozen=True, kw_only=True):
    """How many are at least ``from_s`` long and shorter than ``until_s`` (None: any longer)."""

    from_s: int
    until_s: int | None
    n: int


class LengthsView(Struct, frozen=True, kw_only=True):
    """Lengths in seconds; quantiles are interpolated between neighbours, and None where there is none."""

    n: int
    median_s: float | None
    p95_s: float | None
    histogram: list[LengthBin]


def lengths_view(lengths_s: Iterable[float]) -> LengthsView:
    """Lengths, told as ``LengthsView``."""
    found = sorted(lengths_s)
    counts = [0] * len(EDGES_S)
    for one in found:
        counts[bisect_right(EDGES_S, max(one, 0.0)) - 1] += 1
    bins = zip(EDGES_S, (*EDGES_S[1:], None), counts, strict=True)
    return LengthsView(
        n=len(found),
        median_s=quantile(found, 0.5),
        p95_s=quantile(found, 0.95),
        histogram=[LengthBin(from_s=from_s, until_s=until_s, n=n) for from_s, until_s, n in bins],
    )


def quantile(found: Sequence[float], share: float) -> float | None:
    """The value that a share 0..1 of sorted values is not above; None of none.

    Source: Hyndman & Fan, "Sample Quantiles in Statistical Packages" (1996), definition 7, which spreadsheets have too.
    """
    if not found:
        return None
    place = (len(found) - 1) * share
    below = floor(place)
    above = min(below + 1, len(found) - 1)
    return found[below] + (found[above] - found[below]) * (place - below)
