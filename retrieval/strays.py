"""Tracklets that the twin takes for no vehicle, put together: those at one place of one camera's picture are one thing. Pure.

Which of the vehicles that thing may be, follows from all its views against all of theirs, and from when this camera saw them as
somebody else.

What stands at the edge of a picture has no place on the map, so that the twin cannot say who it is; a tracker breaks it into
dozens of tracklets, each of which tells little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from retrieval.columns import ShotTable
from retrieval.context import SLACK_S, Shot
from retrieval.index import Sighting
from retrieval.weights import probabilities
from twin.events.ids import SECOND, CameraId, Micros, TrackletId, VehicleId

SAME_PLACE = 0.6
"""Intersection over union from which two boxes are at one place."""
LONGEST_US: Micros = 600 * SECOND
"""Without a view for longer, somebody else may stand there."""

NOBODY_NATS = 3.0
"""Score of a vehicle that the twin does not know, among those that a stray may be."""
SEEN_ELSE_NATS, ABSENT_NATS = -5.0, -3.0
"""Of a vehicle that the camera saw as somebody else meanwhile; of one that nobody saw at the time, or before and after it."""
LOOK_SHARE = 0.5
"""What nats of looks count for here, as views of one tracker are less independent than they are taken to be."""
LEAST_LIKELY = 0.02

Box = tuple[float, float, float, float]


def stray_groups(sightings: Iterable[Sighting]) -> list[tuple[TrackletId, ...]]:
    """Tracklets by what they show, each sorted by time; one whose box is not known is by itself.

    >>> stray_groups([])
    []
    """
    ordered = sorted(sightings, key=lambda one: (one.at, one.camera, one.tracklet))
    groups: list[dict[TrackletId, None]] = []
    open_ones: dict[CameraId, list[tuple[int, Box, Micros]]] = {}
    group_of: dict[TrackletId, int] = {}
    for one in ordered:
        last = open_ones.setdefault(one.camera, [])
        number = group_of.get(one.tracklet)
        if number is None:
            number = _standing(last, one)
        if number is None:
            number = len(groups)
            groups.append({})
        groups[number][one.tracklet] = None
        group_of[one.tracklet] = number
        open_ones[one.camera] = [each for each in last if each[0] != number and one.at - each[2] <= LONGEST_US]
        if one.box_px is not None:
            open_ones[one.camera].append((number, one.box_px, one.at))
    return [tuple(group) for group in groups]


def _standing(last: list[tuple[int, Box, Micros]], one: Sighting) -> int | None:
    if one.box_px is None:
        return None
    overlaps = [(_overlap(box, one.box_px), -number) for number, box, at in last if one.at - at <= LONGEST_US]
    best = max(overlaps, default=(0.0, 0))
    return -best[1] if best[0] >= SAME_PLACE else None


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0.0 or height <= 0.0:
        return 0.0
    both = width * height
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both)


def likely_vehicles(
    shots: Sequence[Shot], looks: Sequence[float], vehicles: Sequence[VehicleId], seen: ShotTable
) -> dict[VehicleId, float]:
    """The vehicles that a stray may be, with their probabilities; the rest is that it is nobody known.

    Args:
        shots: the stray's, at least one.
        looks: (V,) nats that it is each vehicle.
        vehicles: (V,) in order.
        seen: when they were seen.
    """
    slack = round(SLACK_S * SECOND)
    first_at, last_at = min(shot.at for shot in shots) - slack, max(shot.at for shot in shots) + slack
    is_there = (seen.first_at <= last_at) & (seen.last_at >= first_at)
    of_time = np.where(is_there, 0.0, ABSENT_NATS)
    of_time[seen.seen_by(shots[0].camera, first_at, last_at)] = SEEN_ELSE_NATS
    chances = probabilities([LOOK_SHARE * look + then for look, then in zip(looks, of_time.tolist(), strict=True)], NOBODY_NATS)
    return {name: chance for name, chance in zip(vehicles, chances, strict=True) if chance >= LEAST_LIKELY}
