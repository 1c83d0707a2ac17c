"""Crossings of two vehicles' boxes in one camera, and whether their tracklets were exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.sightings import Sightings
from perception.synthetic.tracklets import overlap_share
from twin.events.ids import SECOND, Micros

_CROSSING, _APART = 0.3, 0.1  # intersection over union at which boxes cross, and cease to
_BEFORE: Micros = SECOND
_AFTER: Micros = SECOND

Rows = NDArray[Any]
Pair = tuple[int, int]


class _Crossing(NamedTuple):
    pair: Pair
    at: Micros


def crossings(one: Sightings) -> Iterator[bool]:
    """For each crossing whether it exchanged the tracklets; one in which either tracklet began or ended is left out.

    Two boxes begin to cross where their true boxes, both reported, were apart before and now overlap by 0.3.
    """
    rows = one.seen[one.seen["tracklet"] >= 0]
    by_vehicle = {int(v): rows[rows["vehicle"] == v] for v in np.unique(rows["vehicle"])}
    for crossing in _begun(rows):
        before = [_usual(by_vehicle[v], crossing.at - _BEFORE, crossing.at) for v in crossing.pair]
        after = [_usual(by_vehicle[v], crossing.at, crossing.at + _AFTER) for v in crossing.pair]
        if None not in before and before[0] != before[1] and set(before) == set(after):
            yield before != after


def _begun(rows: Rows) -> Iterator[_Crossing]:
    """Pairs that were seen apart, at the moment they first overlap enough."""
    apart: set[Pair] = set()
    starts = np.flatnonzero(np.r_[True, np.diff(rows["frame"]) != 0]) if len(rows) else []
    for frame in np.split(rows, starts[1:]):
        boxes, vehicles, moves = frame["box_px"].tolist(), frame["vehicle"].tolist(), frame["is_moving"].tolist()
        for first in np.flatnonzero(frame["is_moving"]).tolist():
            for second, box in enumerate(boxes):
                if second == first or (moves[second] and second < first):
                    continue
                pair = (min(vehicles[first], vehicles[second]), max(vehicles[first], vehicles[second]))
                overlap = overlap_share(tuple(boxes[first]), tuple(box))
                if overlap < _APART:
                    apart.add(pair)
                elif overlap >= _CROSSING and pair in apart:
                    apart.remove(pair)
                    yield _Crossing(pair, int(frame["at"][first]))


def _usual(rows: Rows, from_at: Micros, until_at: Micros) -> int | None:
    """The tracklet that a vehicle had most in a time; None: it was not reported."""
    names = rows["tracklet"][(rows["at"] >= from_at) & (rows["at"] < until_at)]
    return int(np.bincount(names).argmax()) if len(names) else None
