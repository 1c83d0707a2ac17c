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
    alike = _alike(np.concatenate([probe[None], shots]))
    nearest = _nearest(alike, n_neighbours, max(1, n_neighbours // 2))
    mutual, half = (near & near.T for near in (alike >= nearest[:, :1], alike >= nearest[:, 1:]))
    mutual |= _expanded(mutual, half)
    both = _n_shared(mutual[:1], mutual)[0].astype(np.float64)
    sizes = mutual.sum(axis=1)
    return both[1:] / np.maximum(1, sizes[0] + sizes[1:] - both[1:])


def _alike(vectors: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, N) cosines."""
    most = float(np.abs(vectors).max())
    # Of whole numbers, none of whose sums reaches what the type can count to: exact in any order.
    exact = np.float32 if most * most * vectors.shape[1] < 2.0**24 else np.float64
    rows = vectors.astype(exact)
    products = (rows @ rows.T).astype(np.float64)
    lengths = np.sqrt(products.diagonal())
    return products / lengths / lengths[:, None]


def _nearest(alike: NDArray[np.float64], *k: int) -> NDArray[np.float64]:
    """(N, len(k)) how alike the last is that is among one's k nearest, itself counted; all that are as near are in."""
    n = len(alike)
    ranks = [n - min(n, each + 1) for each in k]
    return np.sort(alike, axis=1)[:, ranks]  # which is quicker than a partition for the 200 of a search


def _expanded(mutual: NDArray[np.bool_], half: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N, N) neighbourhoods of neighbours that lie for two thirds in one's own."""
    shared = _n_shared(mutual, half)
    joins = mutual & (3 * shared >= 2 * half.sum(axis=1)[None])
    return _n_shared(joins, half.T) > 0


def _n_shared(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How many members each set shares with each; whole, and exact as far as there are no 2^24 of them."""
    return one.astype(np.float32) @ other.T.astype(np.float32)
