"""Which true sample and which track sample could be the same vehicle, and the best pairs at each moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from twin.evaluation.grid import Bools, Floats, Ints, Samples

REACH_M = 3.0
"""Farthest that a pair may be apart: where HOTA's similarity reaches 0."""

_APART_M = 1e3  # between moments, so that one tree serves all of a level


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """P pairs of samples of the same moment and level, sorted by the true sample.

    Attributes:
        true: (P,) index of the true sample.
        track: (P,) index of the track sample.
        distance_m: (P,).
    """

    true: Ints
    track: Ints
    distance_m: Floats

    def where(self, mask: Bools) -> Pairs:
        """Only these pairs."""
        return Pairs(true=self.true[mask], track=self.track[mask], distance_m=self.distance_m[mask])


def pairs_of(truth: Samples, tracks: Samples, reach_m: float = REACH_M) -> Pairs:
    """All pairs up to ``reach_m`` apart."""
    _, levels = np.unique(np.concatenate([truth.level, tracks.level]), return_inverse=True)
    true_level, track_level = levels[: len(truth)], levels[len(truth) :]
    parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for level in np.unique(true_level):
        true, track = np.flatnonzero(true_level == level), np.flatnonzero(track_level == level)
        if len(true) and len(track):
            parts.append(_near(truth, tracks, true, track, reach_m))
    true, track, distance_m = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((track, true))
    return Pairs(true=true[order], track=track[order], distance_m=distance_m[order])


def best_pairs(true: Ints, track: Ints, score: Floats) -> Ints:
    """Which of the pairs make the largest total score, each sample in at most one; indices, ascending.

    Where each true sample's best is nobody else's, those are taken; what is disputed is solved group by group.

    Args:
        true, track: (P,) sample indices.
        score: (P,) ≥ 0; pairs of score 0 are never taken.
    """
    kept = np.flatnonzero(score > 0)
    true, track, score = true[kept], track[kept], score[kept]
    if not len(kept):
        return kept
    order = np.lexsort((-score, true))
    first = order[np.concatenate([[True], true[order][1:] != true[order][:-1]])]
    _, named = np.unique(track, return_inverse=True)
    n_wanting = np.bincount(named[first], minlength=int(named.max()) + 1)
    if n_wanting.max() <= 1:
        return np.sort(kept[first])
    group = _groups(true, named)
    is_disputed = np.zeros(int(group.max()) + 1, dtype=bool)
    is_disputed[group[n_wanting[named] > 1]] = True
    taken = [first[~is_disputed[group[first]]]]
    disputed = np.flatnonzero(is_disputed[group])
    disputed = disputed[np.argsort(group[disputed], kind="stable")]
    for block in np.split(disputed, np.flatnonzero(np.diff(group[disputed])) + 1):
        taken.append(block[_solved(true[block], track[block], score[block])])
    return np.sort(kept[np.concatenate(taken)])


def _near(truth: Samples, tracks: Samples, true: Ints, track: Ints, reach_m: float) -> tuple[Ints, Ints, Floats]:
    trees = [
        KDTree(np.column_stack([samples.xy_m[at], samples.frame[at] * _APART_M]))
        for samples, at in ((truth, true), (tracks, track))
    ]
    near = trees[0].sparse_distance_matrix(trees[1], reach_m, output_type="ndarray")
    return true[near["i"]], track[near["j"]], np.asarray(near["v"], dtype=float)


def _groups(true: Ints, named: Ints) -> Ints:
    """(P,) a number of the samples that hang together, over any number of pairs."""
    trues, row = np.unique(true, return_inverse=True)
    n = len(trues) + int(named.max()) + 1
    graph = coo_array((np.ones(len(row), dtype=np.int8), (row, named + len(trues))), shape=(n, n))
    return connected_components(graph, directed=False)[1][row].astype(np.int64)


def _solved(true: Ints, track: Ints, score: Floats) -> Ints:
    if len(true) == 1:
        return np.zeros(1, dtype=np.int64)
    rows, columns = dict[int, int](), dict[int, int]()
    row = [rows.setdefault(one, len(rows)) for one in true.tolist()]
    column = [columns.setdefault(one, len(columns)) for one in track.tolist()]
    table, number = np.zeros((len(rows), len(columns))), np.full((len(rows), len(columns)), -1)
    table[row, column], number[row, column] = score, np.arange(len(score))
    chosen = number[linear_sum_assignment(table, maximize=True)]
    return chosen[chosen >= 0]
