"""Learns what evidence is worth from searches whose right answer is known: a site's own confirmed identities, or ground truth.

Looks: the variances of ``LookModel`` by moments. Weights: those that give the right vehicles the greatest probability
(conditional logit), drawn to the ones set by hand where little is known (a Gaussian prior), so that a hundred searches suffice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from retrieval.appearance import ONE, LookModel
from retrieval.rerank import Evidence
from retrieval.weights import Terms, scaled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLASSES = ("kind", "presence", "reach", "own")
FACTORS = ("look", "reciprocal", "plate", "colour")
PRIOR_SIGMA, PRIOR_SIGMA_FACTOR = 1.5, 0.5
"""How far learned nats of a class, and factors, are from those set by hand, before anything is learned."""
NOBODY_SHARE = 0.03
"""Of searches, in how many the vehicle is taken to be unknown to the twin."""
LEAST_TEMPER, MOST_TEMPER = 0.25, 2.0
"""By how much weights may be made less, or more, sure than they came out."""
TEMPER_SIGMA = 0.5
"""How far the logarithm of that is from none, before anything is learned."""

_LEAST_VARIANCE = 1e-4
_LEAST_VIEW = 0.1
_FEWEST_VEHICLES = 8
_MOST_VIEWS = 2_000  # whose pairs are looked at: four million


class Search(Struct, frozen=True, kw_only=True):
    """One search with its right answer.

    Attributes:
        evidence: of each candidate.
        is_right: whether it is the probe's vehicle; of several that are, each is.
    """

    evidence: tuple[Evidence, ...]
    is_right: tuple[bool, ...]


def learned_terms(searches: Sequence[Search], prior: Terms, *, anchored: bool) -> Terms:
    """Weights by greatest posterior probability; the prior itself from no search.

    Args:
        anchored: whether the searches had an anchor; else only what needs none is learned.
    """
    names = _names(prior, anchored=anchored)
    start = np.array([_value(prior, name) for name in names])
    sigma = np.array([PRIOR_SIGMA_FACTOR if len(name) == 1 and name[0] in FACTORS else PRIOR_SIGMA for name in names])
    rows = [(_matrix(one, names), np.array(one.is_right)) for one in searches if one.evidence]
    nobody = names.index(("nobody",))

    def loss(x: Floats) -> tuple[float, Floats]:
        total = 0.5 * float((((x - start) / sigma) ** 2).sum())
        slope = (x - start) / sigma**2
        for matrix, right in rows:
            scores = matrix @ x
            for share, known, is_right in _outcomes(right):
                value, gradient = _surprise(scores[known], matrix[known], is_right[known], float(x[nobody]), nobody)
                total += share * value
                slope = slope + share * gradient
        return total, slope

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[_bounds(name) for name in names])
    return _with(prior, dict(zip(names, found.x.tolist(), strict=True)))


def tempered_terms(groups: Sequence[Sequence[Search]], prior: Terms, *, anchored: bool) -> Terms:
    """Weights of all groups of searches together, as sure as such weights are right in a group that they were not learned from.

    Each group is left out once, and what the others teach is tried on it; see ``learned_temper``. Of a single group as
    ``learned_terms``.
    """
    terms = learned_terms([search for group in groups for search in group], prior, anchored=anchored)
    if len(groups) < 2:
        return terms
    tried = list[tuple[Search, Terms]]()
    for left_out, group in enumerate(groups):
        rest = [search for number, other in enumerate(groups) if number != left_out for search in other]
        of_rest = learned_terms(rest, prior, anchored=anchored)
        tried += [(one, of_rest) for one in group]
    tempered = scaled(terms, learned_temper(tried))
    return _with(tempered, {name: _value(tempered, name) for name in _names(tempered, anchored=True)})


def learned_temper(tried: Iterable[tuple[Search, Terms]]) -> float:
    """The factor on all nats that makes right answers most probable: ranks stay, and what was learned by heart is not told as
    known; 1 from no search.

    Args:
        tried: searches, each with weights that were not learned from it.

    Source: Guo et al., "On calibration of modern neural networks" (2017), on temperature scaling.
    """
    known = [
        (np.array([each.score(terms) for each in one.evidence]), np.array(one.is_right), terms.nobody)
        for one, terms in tried
        if one.evidence
    ]

    def loss(log_factor: float) -> float:
        factor, total = float(np.exp(log_factor)), 0.5 * (log_factor / TEMPER_SIGMA) ** 2
        for scores, right, nobody in known:
            for share, rows, is_right in _outcomes(right):
                total += share * _improbable(factor * scores[rows], is_right[rows], factor * nobody)
        return total

    if not known:
        return 1.0
    bounds = float(np.log(LEAST_TEMPER)), float(np.log(MOST_TEMPER))
    found: Any = minimize_scalar(loss, bounds=bounds, method="bounded")
    return round(float(np.exp(found.x)), 4)


def learned_looks(
    vectors: Ints, vehicles: Ints, cameras: Ints, scatter: float, n_views: Floats, before: LookModel
) -> LookModel:
    """The variances of looks, by moments.

    Args:
        vectors: (N, E) whole numbers: the mean view of each tracklet.
        vehicles, cameras: (N,) of the tracklets.
        scatter: mean squared distance of a view from its tracklet's mean view, were that of endless views.
        n_views: (N,) of each tracklet.
        before: what is kept where there is too little to learn from.
    """
    if len(np.unique(vehicles)) < _FEWEST_VEHICLES:
        return before
    of_vehicle = np.stack([vectors[vehicles == one].mean(axis=0) for one in np.unique(vehicles)])
    mean = np.rint(of_vehicle.mean(axis=0)).astype(np.int64)
    units = (vectors - mean) / ONE
    views, keys, counts, inner = _views(units, vehicles, cameras)
    if len(views) > _MOST_VIEWS:
        chosen = np.linspace(0, len(views) - 1, _MOST_VIEWS).astype(np.int64)
        views, keys, counts = views[chosen], keys[chosen], counts[chosen]
    products = views @ views.T
    first, second = np.triu_indices(len(views), 1)
    same = keys[first, 0] == keys[second, 0]
    if not same.any() or same.all():
        return before
    between = float(np.median(products[first, second][same]))
    spread = float((views**2).sum(axis=1).mean())
    n_directions = min(float(vectors.shape[1]), max(2.0, spread**2 / float(products[first, second][~same].var())))
    of_views = float((scatter / n_views).mean())  # what the mean views have of their views' own
    within, tracklet = max(0.0, spread - between), inner - of_views
    view = within - float((inner / counts).mean())
    if view < _LEAST_VIEW * within:  # too few tracklets of one vehicle before one camera: divided as it usually is
        share = before.view / (before.view + before.tracklet)
        rest = max(0.0, within - of_views)
        view, tracklet = share * rest, (1.0 - share) * rest
    each = [max(_LEAST_VARIANCE, one / n_directions) for one in (between, view, tracklet, scatter)]
    return LookModel(
        between=round(each[0], 6),
        view=round(each[1], 6),
        tracklet=round(each[2], 6),
        crop=round(each[3], 6),
        n_directions=round(n_directions, 2),
        mean=tuple(mean.tolist()),
    )


def _views(units: Floats, vehicles: Ints, cameras: Ints) -> tuple[Floats, Ints, Floats, float]:
    """Means by vehicle and camera, what they are of, of how many tracklets, and the variance of one tracklet around them."""
    keys, inverse = np.unique(np.stack([vehicles, cameras], axis=1), axis=0, return_inverse=True)
    counts = np.bincount(inverse).astype(float)
    totals = np.zeros((len(keys), units.shape[1]))
    np.add.at(totals, inverse, units)
    views = totals / counts[:, None]
    off = ((units - views[inverse]) ** 2).sum(axis=1)
    n_free = float(len(units) - len(keys))
    return views, keys, counts, float(off.sum()) / n_free if n_free else 0.0


_Name = tuple[str, ...]


def _names(terms: Terms, *, anchored: bool) -> list[_Name]:
    classes = CLASSES if anchored else ("kind",)
    of_classes = [(group, one) for group in classes for one in sorted(getattr(terms, group))]
    return [*((one,) for one in FACTORS), ("nobody",), *of_classes]


def _value(terms: Terms, name: _Name) -> float:
    return float(getattr(terms, name[0]) if len(name) == 1 else getattr(terms, name[0])[name[1]])


def _bounds(name: _Name) -> tuple[float | None, float | None]:
    return (0.0, None) if name[0] in FACTORS else (None, None)


def _matrix(search: Search, names: Sequence[_Name]) -> Floats:
    """(V, K) what each weight is multiplied by for each candidate."""
    return np.array([[_times(one, name) for name in names] for one in search.evidence])


def _times(found: Evidence, name: _Name) -> float:
    if name[0] in FACTORS:
        return float(getattr(found, name[0]))
    if name[0] == "nobody":
        return 0.0
    told = found.drive.reach if name[0] == "reach" and found.drive is not None else getattr(found, name[0], None)
    return float(told == name[1])


def _outcomes(right: NDArray[np.bool_]) -> list[tuple[float, NDArray[np.bool_], NDArray[np.bool_]]]:
    """What a search teaches: its share, which vehicles the twin knows, and who of them is right; as it was, and with the right
    ones unknown to the twin."""
    every, none = np.ones(len(right), bool), np.zeros_like(right)
    return [(1.0 - NOBODY_SHARE, every if right.any() else ~right, right), (NOBODY_SHARE, ~right, none)]


def _improbable(scores: Floats, right: NDArray[np.bool_], nobody: float) -> float:
    """-ln of the probability of who is right, together, or of nobody."""
    most = max(float(scores.max(initial=-np.inf)), nobody)
    shares, none = np.exp(scores - most), float(np.exp(nobody - most))
    return float(np.log(shares.sum() + none) - np.log(shares[right].sum() if right.any() else none))


def _surprise(scores: Floats, matrix: Floats, right: NDArray[np.bool_], nobody: float, column: int) -> tuple[float, Floats]:
    """-ln of the probability of who is right, together, or of nobody; and its slope."""
    most = max(float(scores.max(initial=-np.inf)), nobody)
    shares = np.exp(scores - most)
    none = float(np.exp(nobody - most))
    total = float(shares.sum()) + none
    expected = (shares[:, None] * matrix).sum(axis=0) / total
    expected[column] += none / total
    if right.any():
        won = shares[right]
        hoped = (won[:, None] * matrix[right]).sum(axis=0) / won.sum()
        return float(np.log(total) - np.log(won.sum())), expected - hoped
    hoped = np.zeros(matrix.shape[1])
    hoped[column] = 1.0
    return float(np.log(total) - np.log(none)), expected - hoped


def _with(terms: Terms, values: Mapping[_Name, float]) -> Terms:
    plain = {name[0]: round(value, 4) for name, value in values.items() if len(name) == 1}
    groups = {name[0] for name in values if len(name) == 2}
    tables = {
        group: {name[1]: round(value, 4) for name, value in values.items() if len(name) == 2 and name[0] == group}
        for group in sorted(groups)
    }
    return replace(terms, **plain, **tables)
