"""k-reciprocal neighbourhoods inside a matrix of candidates: who is alike both ways, and among the same others. Pure.

Source: Zhong, Zheng, Cao & Li, "Re-ranking person re-identification with k-reciprocal encoding" (2017), without its local
query expansion; weights are plain memberships, so that the result is a share of whole numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.appearance import Ints

N_NEIGHBOURS = 12
"""Neighbours that count; the paper's 20 are for galleries of thousands."""


def agreement(probe: Ints, shots: NDArray[np.int64], n_neighbours: int = N_NEIGHBOURS) -> NDArray[np.float64]:
    """(N,) 0..1: how far the neighbourhoods of the probe and of each shot are the same (Jaccard).

    Args:
        probe: (E,) whole numbers.
        shots: (N, E) whole numbers, of about equal length.
    """
    if not len(shots):
        return np.zeros(0)
    vectors = np.concatenate([probe[None], shots]).astype(np.float64)
    products = vectors @ vectors.T  # of whole numbers below 2^53: exact in any order
    lengths = np.sqrt(products.diagonal())
    alike = products / lengths / lengths[:, None]
    mutual = _mutual(alike, n_neighbours)
    mutual |= _expanded(mutual, _mutual(alike, max(1, n_neighbours // 2)))
    both = _n_shared(mutual[:1], mutual)[0]
    sizes = mutual.sum(axis=1)
    return both[1:] / np.maximum(1, sizes[0] + sizes[1:] - both[1:])


def _mutual(alike: NDArray[np.float64], k: int) -> NDArray[np.bool_]:
    """(N, N) whether each is among the other's k nearest, itself counted."""
    n = len(alike)
    nearest = np.sort(alike, axis=1)[:, -min(n, k + 1)]  # all that are as near as the last are in
    near = alike >= nearest[:, None]
    return near & near.T


def _expanded(mutual: NDArray[np.bool_], half: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N, N) neighbourhoods of neighbours that lie for two thirds in one's own."""
    shared = _n_shared(mutual, half)
    joins = mutual & (3 * shared >= 2 * half.sum(axis=1)[None])
    return _n_shared(joins, half.T) > 0


def _n_shared(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many members each set shares with each; whole, and exact as doubles."""
    return one.astype(np.float64) @ other.T.astype(np.float64)
