"""Where the twin had every vehicle at a time, seen from one camera; and by how much cameras' clocks were off."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from math import inf

import numpy as np
from numpy.typing import NDArray

from retrieval.context import Place
from retrieval.places import CameraDistances
from twin.errors import Cut
from twin.events.codec import micros
from twin.events.facts import ClockEstimated
from twin.events.ids import CameraId, Micros, VehicleId
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.net import net_facts
from twin.projections.timeline import Timeline

N_REMEMBERED = 16
CLOCK_TYPES = (str(ClockEstimated.__struct_config__.tag),)
SEEN_US: Micros = 1_500_000
"""A moving vehicle whose last place is older was out of sight at the time."""

_Clocks = Mapping[CameraId, list[tuple[Micros, int]]]


class Whereabouts:
    """Of one site; facts up to a position never change, so that what was read once is kept."""

    def __init__(self, log: Log, timeline: Timeline, distances: CameraDistances) -> None:
        self._log = log
        self._timeline = timeline
        self._distances = distances
        self._places: OrderedDict[tuple[Moment, CameraId], Mapping[VehicleId, Place]] = OrderedDict()
        self._clocks: OrderedDict[int, Clocks] = OrderedDict()
        self._lock = asyncio.Lock()
        self._clock_lock = asyncio.Lock()

    async def places(self, moment: Moment, camera: CameraId) -> Mapping[VehicleId, Place]:
        """Every vehicle that was on the site at the moment's ``at``; none where retention took what that rests on."""
        assert moment.at is not None
        async with self._lock:
            key = moment, camera
            if key not in self._places:
                self._places[key] = await self._read(moment.at, moment.known_at, camera)
                if len(self._places) > N_REMEMBERED:
                    self._places.popitem(last=False)
            return self._places[key]

    async def clocks(self, known_at: int) -> Clocks:
        """What was known of cameras' clocks at a position."""
        async with self._clock_lock:
            if known_at not in self._clocks:
                found: dict[CameraId, list[tuple[Micros, int]]] = {}
                async for facts in net_facts(self._log, self._timeline.site.name, _ever(known_at), types=CLOCK_TYPES):
                    for fact in facts:
                        if isinstance(fact.event.payload, ClockEstimated):
                            off = fact.event.occurred_at, fact.event.payload.offset_us
                            found.setdefault(fact.event.payload.camera, []).append(off)
                self._clocks[known_at] = Clocks(found)
                if len(self._clocks) > N_REMEMBERED:
                    self._clocks.popitem(last=False)
            return self._clocks[known_at]

    async def _read(self, at: Micros, known_at: int, camera: CameraId) -> Mapping[VehicleId, Place]:
        try:
            state = await self._timeline.state(at, known_at)
        except Cut:
            return {}
        places: dict[VehicleId, Place] = {}
        for one in state["vehicles"]:
            to_view_m = self._distances.to_view_m(camera, one["level"], tuple(one["position_m"]))
            if to_view_m is None:
                continue
            seen_at = micros(one["updated_at"])
            is_parked = one["state"] == "parked"
            is_seen = is_parked or (one["state"] == "moving" and not one["is_inferred"] and at - seen_at <= SEEN_US)
            where = one["stall"] or one["zone"] or ""
            places[VehicleId(one["vehicle"])] = Place(
                to_view_m=to_view_m, where=where, is_seen=is_seen, is_parked=is_parked, seen_at=seen_at
            )
        return places


class Clocks:
    """Cameras' clocks as the twin knew them.

    Attributes:
        farthest_us: by how much the worst of them was ever off.
        are_right: none was ever off, as far as is known.
    """

    def __init__(self, offsets: _Clocks) -> None:
        self._offsets = {camera: sorted(known) for camera, known in offsets.items()}
        every = [abs(offset) for known in self._offsets.values() for _, offset in known]
        self.farthest_us: Micros = max(every, default=0)
        self.are_right = self.farthest_us == 0

    def corrected(self, camera: CameraId, at: Micros) -> Micros:
        """A camera's time put right by what was last known of its clock; by what was first known, before that."""
        known = self._offsets.get(camera)
        if not known:
            return at
        return at + known[max(0, bisect_right(known, (at, inf)) - 1)][1]

    def all_corrected(self, camera: CameraId, at: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N,) times of a camera, as ``corrected`` puts each right."""
        known = self._offsets.get(camera)
        if not known:
            return at
        times, offsets = np.array(known, np.int64).T
        return at + offsets[np.maximum(0, np.searchsorted(times, at, side="right") - 1)]


def _ever(known_at: int) -> Moment:
    return Moment(at=None, known_at=known_at)
