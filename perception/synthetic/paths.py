"""The path of a vehicle's guide point in steps of an eighth of a metre, with a speed limit at each step.

The rear guide lies near the rear guide, so a car's tail stays where it belongs: the heading is the path's tangent, and the
nose swings out. Source: LaValle, "Planning Algorithms" (2006), 13.1.2, the simple car.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from perception.synthetic.footprints import Rectangle
from perception.synthetic.lines import Floats, Line
from perception.synthetic.vehicles import Body
from site_models.schema import LevelId

CELL_M = 0.125
SPEED_STEP_MPS = 0.5
_LATERAL_MPS2 = 1.8  # what drivers take curves at
_BRAKING_MPS2 = 1.0
_RAMP_M = 7.0  # this near a change of level, a vehicle is on both


class Leg(NamedTuple):
    """A stretch driven in one gear.

    Attributes:
        points_m: (N, 2) of the guide point.
        gear: 1 forwards, -1 backwards.
        limits: from each arc length on (metres), this speed at most (metres per second).
    """

    points_m: Floats
    gear: int
    limits: tuple[tuple[float, float], ...]


class Path(NamedTuple):
    """P steps; ``limit`` is in steps of ``SPEED_STEP_MPS`` and 0 where one has to stop."""

    x: list[float]
    y: list[float]
    heading: list[float]  # radians, unwrapped
    gear: list[int]
    limit: list[int]
    levels: list[frozenset[LevelId]]
    level: list[LevelId]
    offset_m: float  # from the guide point forward to the middle of the footprint
    length_m: float
    width_m: float

    @property
    def last(self) -> int:
        """The last step."""
        return len(self.x) - 1

    def pose(self, step: float) -> tuple[float, float, float]:
        """x, y of the footprint's middle, metres, and heading, radians, between steps too."""
        index = min(int(step), self.last - 1)
        share = step - index
        heading = self.heading[index] + share * (self.heading[index + 1] - self.heading[index])
        x = self.x[index] + share * (self.x[index + 1] - self.x[index]) + self.offset_m * math.cos(heading)
        y = self.y[index] + share * (self.y[index + 1] - self.y[index]) + self.offset_m * math.sin(heading)
        return x, y, heading

    def room(self, step: float, speed_mps: float, margin_m: float, side_m: float, headway_s: float) -> Rectangle:
        """What no other vehicle's room may touch: the footprint, a margin, and the way ahead for ``headway_s``."""
        x, y, heading = self.pose(step)
        cos, sin = math.cos(heading), math.sin(heading)
        ahead = headway_s * speed_mps * self.gear[min(math.ceil(step), self.last)] / 2
        return (
            x + ahead * cos,
            y + ahead * sin,
            cos,
            sin,
            self.length_m / 2 + margin_m + abs(ahead),
            self.width_m / 2 + side_m,
        )


def path_of(
    legs: Sequence[Leg], body: Body, *, stops_at_end: bool, starts_at_mps: float, levels: Sequence[tuple[Floats, LevelId]]
) -> Path:
    """Put legs together; every change of gear is a stop.

    Args:
        levels: the level from each of these points (2,) on, in driving order; the first holds from the start.
    """
    guides, gears, headings, limits = list[Floats](), list[int](), list[Floats](), list[Floats]()
    for number, leg in enumerate(legs):
        is_last = number == len(legs) - 1
        line = Line(leg.points_m)
        odd = round(starts_at_mps / SPEED_STEP_MPS) % 2 if number == 0 and (stops_at_end or not is_last) else 0
        n_steps = max(2, 2 * round((line.length_m / CELL_M - odd) / 2) + odd)
        along = np.linspace(0.0, line.length_m, n_steps + 1)
        guide = np.stack([np.interp(along, line.along_m, column) for column in line.points_m.T], axis=1)
        heading = _headings(guide, leg.gear)
        limit = _limits(heading, along, leg)
        if stops_at_end or not is_last:
            limit[-1] = 0.0
        first = 0 if number == 0 else 1
        guides.append(guide[first:])
        gears += [leg.gear] * (n_steps + 1 - first)
        headings.append(heading[first:])
        limits.append(limit[first:])
    return _assembled(np.concatenate(guides), gears, np.concatenate(headings), np.concatenate(limits), body, levels)


def stopping_at(path: Path, steps: Iterable[int]) -> Path:
    """The same path with a stop at each of these steps, and braking before it."""
    limit = list(path.limit)
    for stop in steps:
        limit[stop] = 0
        for index in range(stop - 1, -1, -1):
            braking = max(1, int(math.sqrt(2 * _BRAKING_MPS2 * CELL_M * (stop - index)) / SPEED_STEP_MPS))
            if limit[index] <= braking:
                break
            limit[index] = braking
    return path._replace(limit=limit)


def stop_near(path: Path, step: float) -> int:
    """The last step up to ``step`` at which one can come to a stop exactly.

    Speeds change by whole steps of speed, so stops lie an even number of path steps apart.
    """
    odd = first_stop(path) % 2
    return int(step) - (int(step) - odd) % 2


def first_stop(path: Path) -> int:
    """The first step at which one has to stop; 0 where there is none."""
    return path.limit.index(0) if 0 in path.limit else 0


def _assembled(
    guide: Floats, gears: list[int], heading: Floats, limit: Floats, body: Body, levels: Sequence[tuple[Floats, LevelId]]
) -> Path:
    braked = limit.tolist()
    for index in range(len(braked) - 2, -1, -1):
        braked[index] = min(braked[index], math.sqrt(braked[index + 1] ** 2 + 2 * _BRAKING_MPS2 * CELL_M))
    limit = np.array(braked)
    units = np.where(limit > 0, np.maximum(1, np.floor(limit / SPEED_STEP_MPS + 1e-6)), 0).astype(int)
    level, both = _levels(guide, levels)
    return Path(
        x=guide[:, 0].tolist(),
        y=guide[:, 1].tolist(),
        heading=np.unwrap(heading).tolist(),
        gear=gears,
        limit=units.tolist(),
        levels=both,
        level=level,
        offset_m=body.guide_to_centre_m,
        length_m=body.length_m,
        width_m=body.width_m,
    )


def _headings(guide: Floats, gear: int) -> Floats:
    steps = np.diff(guide, axis=0) * gear
    between = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    return np.concatenate([between[:1], (between[:-1] + between[1:]) / 2, between[-1:]])


def _limits(heading: Floats, along: Floats, leg: Leg) -> Floats:
    bend = np.abs(np.gradient(np.convolve(np.pad(heading, 2, mode="edge"), np.full(5, 0.2), mode="valid"), along))
    starts, speeds = np.array(leg.limits).T
    given = speeds[np.searchsorted(starts, along, side="right") - 1]
    return np.minimum(given, np.sqrt(_LATERAL_MPS2 / np.maximum(bend, 1e-6)))


def _levels(guide: Floats, levels: Sequence[tuple[Floats, LevelId]]) -> tuple[list[LevelId], list[frozenset[LevelId]]]:
    level = [levels[0][1]] * len(guide)
    both = [frozenset([levels[0][1]])] * len(guide)
    after, reach = 0, round(_RAMP_M / CELL_M)
    for (_, before), (point, now) in pairwise(levels):
        after += int(np.argmin(np.hypot(*(guide[after:] - point).T)))
        level[after:] = [now] * (len(guide) - after)
        both[after:] = [frozenset([now])] * (len(guide) - after)
        span = range(max(0, after - reach), min(len(guide), after + reach))
        both[span.start : span.stop] = [both[index] | {before, now} for index in span]
    return level, both
