"""What likeness is worth: histograms of how alike two views of one vehicle are, and two of different ones, as learned on the
site with its own cameras and embedder.

Two views are surely of one vehicle where cameras overlap: a tracklet that motion put beside another camera's box of it. They
are of different ones where two vehicles are seen some metres apart at once. Where little was counted a prior holds.

Sources: Zheng, Gong & Xiang on ratios of likelihoods of same and different pairs, "Re-identification by relative distance
comparison" (2013); pool-adjacent-violators, Barlow et al., "Statistical inference under order restrictions" (1972).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from twin.events.of_observing import LooksCalibrated
from twin.fusion.appearance import FIRST_COSINE, N_KNOTS, PRIOR_NATS, STEP_COSINE, Nats
from twin.fusion.gating import ln1

_N_PRIOR = 30.0  # scores at a knot that the prior counts for
_MOST_NATS = 6.0
_LEAST_TOLD = 8
_NONE = (0,) * N_KNOTS


class LookScores(Struct, frozen=True, array_like=True):
    """Counts at each knot of ``appearance.PRIOR_NATS``, and what follows from them.

    Attributes:
        embedder: model id and version; another one's looks begin anew.
        same, different: pairs of views of one vehicle, and of different ones.
        nats: log-likelihood ratio at each knot, never less for more alike.
    """

    embedder: str = ""
    same: tuple[int, ...] = _NONE
    different: tuple[int, ...] = _NONE
    nats: Nats = PRIOR_NATS


def with_scores(scores: LookScores, embedder: str, same: Sequence[float], different: Sequence[float]) -> LookScores:
    """After more pairs, given by the cosines of their views."""
    before = scores if scores.embedder == embedder else LookScores(embedder)
    one, other = _counted(before.same, same), _counted(before.different, different)
    return LookScores(embedder, one, other, _nats(one, other))


def calibrated(before: LookScores, scores: LookScores) -> LooksCalibrated | None:
    """What to say of it: whenever there were twice as many pairs of one vehicle, from eight on."""
    n, n_before = sum(scores.same), sum(before.same) if before.embedder == scores.embedder else 0
    if n < _LEAST_TOLD or n.bit_length() == n_before.bit_length():
        return None
    nats = tuple(round(value, 3) + 0.0 for value in scores.nats)
    return LooksCalibrated(embedder=scores.embedder, n_same=n, n_different=sum(scores.different), nats=nats)


def _counted(counts: tuple[int, ...], cosines: Sequence[float]) -> tuple[int, ...]:
    found = list(counts)
    for cosine in cosines:
        found[min(max(round((cosine - FIRST_COSINE) / STEP_COSINE), 0), N_KNOTS - 1)] += 1
    return tuple(found)


def _nats(same: tuple[int, ...], different: tuple[int, ...]) -> Nats:
    one, other = _smooth(same), _smooth(different)
    n_one, n_other = sum(same) + 0.5 * N_KNOTS, sum(different) + 0.5 * N_KNOTS
    values, weights = list[float](), list[float]()
    for k in range(N_KNOTS):
        seen = one[k] + other[k]
        ratio = ln1((one[k] + 0.5) / n_one) - ln1((other[k] + 0.5) / n_other)
        values.append((seen * ratio + _N_PRIOR * PRIOR_NATS[k]) / (seen + _N_PRIOR))
        weights.append(seen + _N_PRIOR)
    return tuple(min(max(value, -_MOST_NATS), _MOST_NATS) for value in _rising(values, weights))


def _smooth(counts: tuple[int, ...]) -> list[float]:
    """Each count shared with its neighbours 1 : 2 : 1; what would lie beyond the ends stays."""
    last = len(counts) - 1
    return [(counts[max(k - 1, 0)] + 2 * counts[k] + counts[min(k + 1, last)]) / 4.0 for k in range(last + 1)]


def _rising(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The nearest that never falls, by weighted squares."""
    pools = list[tuple[float, float, int]]()
    for value, weight in zip(values, weights, strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, total, n = pools.pop()
            pool = ((mean * total + pool[0] * pool[1]) / (total + pool[1]), total + pool[1], n + pool[2])
        pools.append(pool)
    return [mean for mean, _, n in pools for _ in range(n)]
