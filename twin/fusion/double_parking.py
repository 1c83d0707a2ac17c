"""How a parked vehicle stands: surely in one stall, over the line in a second one, or in the way of others.

Its place is not known to the centimetre, so each question is asked of the whole distribution of it: by Gauss-Hermite
quadrature, three nodes an axis.

Source: Abramowitz & Stegun, "Handbook of Mathematical Functions" (1964), 25.4.46.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from twin.events.ids import StallId
from twin.fusion.motion import Cov2
from twin.fusion.scene import Scene
from twin.fusion.standing import away_m
from twin.fusion.state import Stance, Track
from twin.spatial.footprint import SIZE_M
from twin.spatial.zones import UNKNOWN, Area, Unit

_NODES = ((-math.sqrt(3.0), 1.0 / 6.0), (0.0, 2.0 / 3.0), (math.sqrt(3.0), 1.0 / 6.0))
_ACROSS, _ALONG = 9, 5  # points of a footprint that are asked which stall they are in
_REACH_SHARE = 0.2  # of a footprint in a second stall: nobody parks there any more
_SURE = 0.9
_NEAR_M = 1.0  # beyond what a footprint reaches: its place may be off
_ON_LANE = 0.5  # of its width, to each side
_BEHIND_M, _ASIDE_M = 10.0, 2.0  # who stands so near before one is what it waits for


def stance(track: Track, others: Iterable[Track], scene: Scene) -> Stance:
    """How a vehicle that is parked at its track's place stands.

    Args:
        others: tracks that it may wait behind.
    """
    x, y = track.motion.x, track.motion.y
    heading = scene.map.stall_heading_at(track.level, x, y) or track.heading
    length, width, _ = SIZE_M[track.kind]
    near = scene.map.stalls_around(track.level, x, y, (length + width) / 2.0 + _NEAR_M)
    places = list(_places(x, y, track.motion.covariance_m2))
    inside = 0.0
    takes = list[StallId]()
    for name, area in near:
        if name == track.stall:
            inside = _summed(weight for px, py, weight in places if area.holds(px, py))
        elif heading != UNKNOWN and _share(area, (x, y), heading, length, width) >= _REACH_SHARE:  # else it is not surely so
            reaches = (w for px, py, w in places if _share(area, (px, py), heading, length, width) >= _REACH_SHARE)
            if _summed(reaches) >= _SURE:
                takes.append(name)
    takes = tuple(sorted(takes))
    blocks = track.stall is None and not takes and _is_in_the_way(track, heading, others, scene)
    return Stance(round(inside, 6), takes, blocks or bool(takes))


def _summed(weights: Iterable[float]) -> float:
    """One after another: ``sum`` rounds otherwise in other versions of Python."""
    total = 0.0
    for weight in weights:
        total += weight
    return total


def _places(x: float, y: float, covariance_m2: Cov2) -> Iterator[tuple[float, float, float]]:
    """Nine places with their weights, for the mean of anything over where a vehicle may stand."""
    xx, xy, yy = covariance_m2
    along = math.sqrt(xx)
    skew = xy / along if along > 0.0 else 0.0
    aside = math.sqrt(max(yy - skew * skew, 0.0))
    for one, weight in _NODES:
        for other, other_weight in _NODES:
            yield x + along * one, y + skew * one + aside * other, weight * other_weight


def _share(area: Area, centre_m: tuple[float, float], heading: Unit, length: float, width: float) -> float:
    """Of a footprint, how much is in a stall."""
    (x, y), (hx, hy) = centre_m, heading
    ahead_m = [(cx - x) * hx + (cy - y) * hy for cx, cy in area.ring_m]
    aside_m = [(cy - y) * hx - (cx - x) * hy for cx, cy in area.ring_m]
    if 2.0 * max(min(ahead_m), -max(ahead_m)) > length or 2.0 * max(min(aside_m), -max(aside_m)) > width:
        return 0.0  # a line along or across the vehicle is between them
    n = 0
    for i in range(_ALONG):
        ahead = length * ((i + 0.5) / _ALONG - 0.5)
        for j in range(_ACROSS):
            left = width * ((j + 0.5) / _ACROSS - 0.5)
            n += area.holds(x + ahead * hx - left * hy, y + ahead * hy + left * hx)
    return n / (_ALONG * _ACROSS)


def _is_in_the_way(track: Track, heading: Unit, others: Iterable[Track], scene: Scene) -> bool:
    """Whether a vehicle stands on a lane, and waits neither at a gate nor behind somebody who stands there."""
    x, y = track.motion.x, track.motion.y
    if scene.map.is_at_portal(track.level, x, y) or not scene.map.is_on_lane(track.level, x, y, _ON_LANE):
        return False
    ahead = heading if heading != UNKNOWN else scene.map.heading_at(track.level, x, y)
    return not any(_waits_behind(track, ahead, other) for other in others)


def _waits_behind(track: Track, ahead: Unit, other: Track) -> bool:
    if (
        other.id == track.id
        or other.level != track.level
        or other.stall is not None
        or other.status not in ("parked", "moving")
    ):
        return False
    if away_m(other.motion, track.motion.x, track.motion.y) > _BEHIND_M:
        return False
    dx, dy = other.motion.x - track.motion.x, other.motion.y - track.motion.y
    return dx * ahead[0] + dy * ahead[1] > 0.0 and abs(dx * ahead[1] - dy * ahead[0]) <= _ASIDE_M
