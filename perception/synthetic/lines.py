"""Polylines by arc length, with corners rounded to arcs that a vehicle can drive."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STRAIGHT = 1e-3  # radians; less is no corner


class Line:
    """A polyline on the ground; ``points_m`` is (N, 2) with N >= 2 and no repeated neighbours.

    ``kept`` tells which of the points that were given these are.
    """

    def __init__(self, points_m: Floats) -> None:
        self.kept = np.concatenate([[True], np.hypot(*np.diff(points_m, axis=0).T) > 1e-6])
        self.points_m = points_m[self.kept]
        steps = np.hypot(*np.diff(self.points_m, axis=0).T)
        self.along_m = np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length_m(self) -> float:
        """Total arc length."""
        return float(self.along_m[-1])

    def at(self, s_m: float) -> Floats:
        """(2,) the point at arc length ``s_m``; beyond an end, straight on."""
        index = int(np.clip(np.searchsorted(self.along_m, s_m, side="right") - 1, 0, len(self.points_m) - 2))
        return self.points_m[index] + self._unit(index) * (s_m - self.along_m[index])

    def direction(self, s_m: float) -> Floats:
        """(2,) unit tangent at arc length ``s_m``."""
        index = int(np.clip(np.searchsorted(self.along_m, s_m, side="right") - 1, 0, len(self.points_m) - 2))
        return self._unit(index)

    def nearest(self, point_m: Floats) -> tuple[float, float]:
        """Arc length of the nearest point, and its distance."""
        starts, steps = self.points_m[:-1], np.diff(self.points_m, axis=0)
        lengths = np.diff(self.along_m)
        shares = np.clip(((point_m - starts) * steps).sum(axis=1) / lengths**2, 0.0, 1.0)
        distances = np.hypot(*(starts + shares[:, None] * steps - point_m).T)
        best = int(np.argmin(distances))
        return float(self.along_m[best] + shares[best] * lengths[best]), float(distances[best])

    def crossing(self, start_m: Floats, end_m: Floats, is_leftwards: bool | None = None) -> tuple[float, bool] | None:
        """Where this line first crosses the segment (in a direction): arc length, and whether from its right to its left."""
        segment = end_m - start_m
        for index, (point, step) in enumerate(zip(self.points_m[:-1], np.diff(self.points_m, axis=0), strict=True)):
            turn = _cross(step, segment)
            if abs(turn) < 1e-12 or is_leftwards not in (None, turn < 0):
                continue
            along = _cross(start_m - point, segment) / turn
            across = _cross(start_m - point, step) / turn
            if 0.0 <= along <= 1.0 and 0.0 <= across <= 1.0:
                return float(self.along_m[index] + along * np.hypot(*step)), turn < 0
        return None

    def part(self, from_m: float, until_m: float) -> Floats:
        """(N, 2) points from one arc length to a larger one; beyond the ends, straight on."""
        inside = (self.along_m > from_m + 1e-6) & (self.along_m < until_m - 1e-6)
        return np.concatenate([self.at(from_m)[None], self.points_m[inside], self.at(until_m)[None]])

    def extended(self, before_m: float, after_m: float) -> Line:
        """The same line with straight pieces added at its ends."""
        return Line(np.concatenate([self.at(-before_m)[None], self.points_m, self.at(self.length_m + after_m)[None]]))

    def reversed(self) -> Line:
        """The same line, driven the other way."""
        return Line(self.points_m[::-1])

    def shifted_right(self, offset_m: float) -> Line:
        """A parallel line, to the right where ``offset_m`` > 0; corners are mitred."""
        units = np.diff(self.points_m, axis=0) / np.diff(self.along_m)[:, None]
        normals = np.stack([units[:, 1], -units[:, 0]], axis=1)
        joints = np.concatenate([normals[:1], normals[:-1] + normals[1:], normals[-1:]])
        joints[1:-1] /= np.maximum(0.25, 1.0 + (normals[:-1] * normals[1:]).sum(axis=1))[:, None]
        return Line(self.points_m + offset_m * joints)

    def _unit(self, index: int) -> Floats:
        return (self.points_m[index + 1] - self.points_m[index]) / (self.along_m[index + 1] - self.along_m[index])


def rounded(points_m: Floats, radius_m: float | Floats, step_m: float = 0.1) -> Floats:
    """(M, 2) the polyline with every corner replaced by a tangent arc, of a smaller radius where its sides are short.

    Args:
        points_m: (N, 2) vertices.
        radius_m: radius of the arcs where there is room; or (N,) of each vertex's.
        step_m: distance between points on an arc.
    """
    line = Line(points_m)
    points, radii_m = line.points_m, np.broadcast_to(radius_m, len(points_m))[line.kept]
    is_end = np.arange(len(points)) % (len(points) - 1) == 0
    is_corner = is_end | (np.abs(np.pad(_turns(points), 1)) >= _STRAIGHT)
    points, radii_m = points[is_corner], radii_m[is_corner]
    if len(points) < 3:
        return points
    steps = np.diff(points, axis=0)
    lengths = np.hypot(*steps.T)
    units, turns = steps / lengths[:, None], _turns(points)
    wanted = np.concatenate([[0.0], radii_m[1:-1] * np.tan(np.abs(turns) / 2), [0.0]])
    share = np.minimum(1.0, lengths / np.maximum(wanted[:-1] + wanted[1:], 1e-9))  # two corners share their side
    tangents = wanted[1:-1] * np.minimum(share[:-1], share[1:])
    corners = zip(points[1:-1], units, turns, tangents, strict=False)
    return Line(np.concatenate([points[:1], *(_arc(*corner, step_m) for corner in corners), points[-1:]])).points_m


def _turns(points: Floats) -> Floats:
    """(N - 2,) the turn at every vertex but the ends, radians, left positive."""
    steps = np.diff(points, axis=0)
    before, after = steps[:-1], steps[1:]
    return np.arctan2(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0], (before * after).sum(axis=1))


def _arc(corner: Floats, inward: Floats, turn: float, tangent_m: float, step_m: float) -> Floats:
    radius = tangent_m / math.tan(abs(turn) / 2)
    start = corner - inward * tangent_m
    normal = np.array([-inward[1], inward[0]]) * math.copysign(1.0, turn)
    angles = np.linspace(0.0, abs(turn), max(3, math.ceil(radius * abs(turn) / step_m) + 1))
    return start + radius * (np.sin(angles)[:, None] * inward + (1 - np.cos(angles))[:, None] * normal)


def _cross(a: Floats, b: Floats) -> float:
    return float(a[0] * b[1] - a[1] * b[0])
