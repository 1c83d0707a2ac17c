"""Where a vehicle was while nobody saw it: along the lanes from where it was lost to where it was found.

This is said afterwards, when both ends are known. How fast one drives a way follows from its bends, what remains from how long
it took. Where on the way it was at a moment is least sure in the middle, as of a random walk whose ends are known.

Sources: a bend's speed by the side acceleration that drivers accept, Reymond et al., "Role of lateral acceleration in curve
driving" (2001); the variance of a Brownian bridge, u (1 - u) of a way's, as for animals between two sightings in Horne et al.,
"Analyzing animal movements using Brownian bridges" (2007).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from site_models.schema import LevelId, Point
from twin.events.ids import SECOND, Micros
from twin.fusion.motion import Cov2
from twin.spatial.lanes import Lanes, WayPoint

_LEAST: Micros = SECOND
_MOST: Micros = 60 * SECOND  # what is older is in saved graphs already
_LEAST_M = 3.0
_EVERY: Micros = SECOND
_STEP_M = 0.5
_CRUISE_MPS = 5.0
_CREEP_MPS = 0.5  # nobody turns round more slowly
_ASIDE_MPS2 = 1.5
_BEND_M = 5.0  # radius of a right angle's bend; sharper ones are narrower
_SPEEDING_MPS2 = 1.0
_PATIENCE = (0.5, 1.6)  # who took less did not drive there, who took more halted somewhere
_WALK_M = 0.16  # variance along the way, m² a metre of it
_LANE_SIGMA_M = 0.75  # across the lane, and of both ends


class Sighting(NamedTuple):
    """A vehicle's place at one end of the time in which nobody saw it."""

    at: Micros
    level: LevelId
    point_m: Point


class Passing(NamedTuple):
    """A vehicle's place and speed at a moment at which nobody saw it."""

    at: Micros
    level: LevelId
    point_m: Point
    velocity_mps: tuple[float, float]
    covariance_m2: Cov2


def passed(lanes: Lanes, lost: Sighting, found: Sighting, asked_at: Micros) -> list[Passing]:
    """Where it was each second between; nothing where it does not seem to have driven from the one to the other.

    Args:
        asked_at: one of the moments, if it is between, and others are whole seconds away from it.
    """
    took = found.at - lost.at
    if not _LEAST < took <= _MOST:
        return []
    way = lanes.way(lost.level, lost.point_m, found.level, found.point_m)
    if way is None or way[-1].along_m < _LEAST_M:
        return []
    times = _times_s(way)
    scale = took / SECOND / times[-1]
    if not _PATIENCE[0] <= scale <= _PATIENCE[1]:
        return []
    return [
        _passing(way, *_reached(times, (at - lost.at) / SECOND / scale), scale, at)
        for at in range(lost.at + ((asked_at - lost.at) % _EVERY or _EVERY), found.at - _EVERY // 2, _EVERY)
    ]


def _times_s(way: Sequence[WayPoint]) -> list[float]:
    """When each step of a way ends at the speed at which one drives it, seconds; the first is 0."""
    length = way[-1].along_m
    n = max(int(length / _STEP_M), 1)
    bends = list(_bends(way))
    speeds = [_speed_mps(length * k / n, bends) for k in range(n + 1)]
    times = [0.0]
    for one, other in pairwise(speeds):
        times.append(times[-1] + 2.0 * length / n / (one + other))
    return times


def _bends(way: Sequence[WayPoint]) -> Iterator[tuple[float, float]]:
    """How far along each bend is, and the square of the speed there."""
    for before, here, after in zip(way, way[1:], way[2:], strict=False):
        (ux, uy), (vx, vy) = _direction(before, here), _direction(here, after)
        along, across = ux * vx + uy * vy, abs(ux * vy - uy * vx)
        if across > 0.0 or along < 0.0:
            yield here.along_m, _ASIDE_MPS2 * _BEND_M * (1.0 + along) / max(across, 1e-3)  # tan of half the angle


def _speed_mps(along_m: float, bends: Sequence[tuple[float, float]]) -> float:
    slowest = min((square + 2.0 * _SPEEDING_MPS2 * abs(along_m - at) for at, square in bends), default=math.inf)
    return math.sqrt(max(min(slowest, _CRUISE_MPS * _CRUISE_MPS), _CREEP_MPS * _CREEP_MPS))


def _reached(times: Sequence[float], at_s: float) -> tuple[float, float]:
    """The share of a way that is behind at a time, and how fast it grows."""
    n = len(times) - 1
    k = next((k for k in range(n) if times[k + 1] >= at_s), n - 1)
    step_s = times[k + 1] - times[k]
    return (k + min((at_s - times[k]) / step_s, 1.0)) / n, 1.0 / step_s / n


def _passing(way: Sequence[WayPoint], share: float, growth: float, scale: float, at: Micros) -> Passing:
    length = way[-1].along_m
    along_m, speed = share * length, growth * length / scale
    before, after = next(((one, other) for one, other in pairwise(way) if other.along_m >= along_m), (way[-2], way[-1]))
    ux, uy = _direction(before, after)
    on = min(max(along_m - before.along_m, 0.0), after.along_m - before.along_m)
    aside = _LANE_SIGMA_M * _LANE_SIGMA_M
    walked = _WALK_M * length * share * (1.0 - share)
    covariance = (aside + walked * ux * ux, walked * ux * uy, aside + walked * uy * uy)
    level = before.level if before.level == after.level or on <= 0.5 * (after.along_m - before.along_m) else after.level
    return Passing(at, level, (before.x_m + on * ux, before.y_m + on * uy), (speed * ux, speed * uy), covariance)


def _direction(one: WayPoint, other: WayPoint) -> tuple[float, float]:
    dx, dy = other.x_m - one.x_m, other.y_m - one.y_m
    length = math.sqrt(dx * dx + dy * dy)
    return (dx / length, dy / length) if length > 0.0 else (0.0, 0.0)
