"""Who takes which stall, and since when: a vehicle is known to stand, or to drive off, only seconds after it did."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from twin.events.ids import SECOND, Micros, StallId, VehicleId
from twin.fusion.scene import Scene
from twin.fusion.stalls import Taken
from twin.fusion.standing import away_m
from twin.fusion.state import StallBelief, Track

_HALTS: Micros = 1_100_000  # from 1.5 m/s, slower than which is standing, to a halt
_PULLS_OFF_MPS2 = 0.6
_LIKELY = 0.95  # that a stall is taken of which no more is known than that
_ABOUT: Micros = SECOND // 5
_MOST_BACK: Micros = 3 * SECOND


def taken_and_left(
    tracks: Iterable[Track], beliefs: Mapping[StallId, StallBelief], scene: Scene, at: Micros
) -> tuple[dict[StallId, Taken], dict[VehicleId, Micros]]:
    """Stalls with a parked vehicle in them, each with one, the first that parked; and when those drove off that just did."""
    taken, left_at, reaching = dict[StallId, Taken](), dict[VehicleId, Micros](), list[Track]()
    for track in tracks:
        if track.vehicle is None:
            continue
        if track.stance is not None and track.stance.takes and track.status == "parked":
            reaching.append(track)
        if track.status == "parked" and track.stall is not None:
            holder = beliefs.get(track.stall)
            is_holder = holder is not None and holder.vehicle == track.vehicle
            if is_holder or track.stall not in taken:
                sure = _LIKELY if track.stance is None else track.stance.probability
                is_new = (holder is None or not holder.since_at) and all(
                    one.vehicle != track.vehicle for one in beliefs.values()
                )
                since_at = at if is_holder else _stands_since(track, at) if is_new else _since_at(track, at)
                taken[track.stall] = Taken(track.vehicle, sure, since_at)
        elif track.status == "moving" and track.stood is not None and at - track.stood.at <= _MOST_BACK:
            left_at[track.vehicle] = _left_at(track, at)
    for track in reaching:
        for stall in () if track.stance is None else track.stance.takes:
            taken.setdefault(stall, Taken(None, _LIKELY, _since_at(track, at), track.vehicle))
    return taken, left_at


def _since_at(track: Track, at: Micros) -> Micros:
    """When a vehicle that is parked now came to a halt."""
    if track.still is None or at - track.still.at > _MOST_BACK + _HALTS:
        return at
    return min(_rounded(track.still.at + _HALTS), at)


def _stands_since(track: Track, at: Micros) -> Micros:
    """Since when a vehicle is known to stand, in a stall of which nothing was ever said."""
    return at if track.still is None else min(_rounded(track.still.at) + _ABOUT, at)


def _left_at(track: Track, at: Micros) -> Micros:
    """When a vehicle that is off its place by now began to move: it pulled off evenly."""
    way_m = away_m(track.stood, track.motion.x, track.motion.y)
    took = round(math.sqrt(2.0 * way_m / _PULLS_OFF_MPS2) * SECOND)
    return max(_rounded(track.motion.at - took), at - _MOST_BACK)


def _rounded(at: Micros) -> Micros:
    """It is known no better, and a look more or less must not make it another time."""
    return at // _ABOUT * _ABOUT
