"""Oriented rectangles on the ground: do two of them overlap?

A rectangle is (x, y, cos, sin, half length, half width): its centre, its heading and its half sizes, metres.
Source: the separating axis theorem; Gottschalk, Lin & Manocha, "OBBTree" (1996), in two dimensions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rectangle = tuple[float, float, float, float, float, float]


def overlap(a: Rectangle, b: Rectangle) -> bool:
    """Whether two rectangles share a point."""
    ax, ay, ac, asin, al, aw = a
    bx, by, bc, bs, bl, bw = b
    dx, dy = bx - ax, by - ay
    reach = al + aw + bl + bw
    if dx > reach or dx < -reach or dy > reach or dy < -reach:
        return False
    cos, sin = abs(ac * bc + asin * bs), abs(ac * bs - asin * bc)
    return (
        abs(dx * ac + dy * asin) <= al + bl * cos + bw * sin
        and abs(dy * ac - dx * asin) <= aw + bl * sin + bw * cos
        and abs(dx * bc + dy * bs) <= bl + al * cos + aw * sin
        and abs(dy * bc - dx * bs) <= bw + al * sin + aw * cos
    )


def overlaps(a: Floats, b: Floats) -> NDArray[np.bool_]:
    """Whether rectangles overlap, every pair.

    Args:
        a: (M, 6) rectangles.
        b: (K, 6) rectangles.

    Returns:
        (M, K) true where row and column share a point.
    """
    ax, ay, ac, asin, al, aw = (column[:, None] for column in a.T)
    bx, by, bc, bs, bl, bw = (column[None, :] for column in b.T)
    dx, dy = bx - ax, by - ay
    cos, sin = np.abs(ac * bc + asin * bs), np.abs(ac * bs - asin * bc)
    return (
        (np.abs(dx * ac + dy * asin) <= al + bl * cos + bw * sin)
        & (np.abs(dy * ac - dx * asin) <= aw + bl * sin + bw * cos)
        & (np.abs(dx * bc + dy * bs) <= bl + al * cos + aw * sin)
        & (np.abs(dy * bc - dx * bs) <= bw + al * sin + aw * cos)
    )


def within_reach(a: Floats, b: Floats) -> Floats:
    """The rectangles of b that may overlap one of a: all that do, and few others.

    Args:
        a: (M, 6) rectangles, at least one.
        b: (K, 6) rectangles.
    """
    reach = (a[:, 4] + a[:, 5]).max() + b[:, 4] + b[:, 5]
    low, high = a[:, :2].min(axis=0), a[:, :2].max(axis=0)
    is_near = (b[:, :2] >= low - reach[:, None]) & (b[:, :2] <= high + reach[:, None])
    return b[is_near.all(axis=1)]


def corners(rectangle: Rectangle) -> Floats:
    """(4, 2) corners, counter-clockwise from the front right."""
    x, y, cos, sin, length, width = rectangle
    along, across = np.array([length, length, -length, -length]), np.array([-width, width, width, -width])
    return np.stack([x + along * cos - across * sin, y + along * sin + across * cos], axis=1)
