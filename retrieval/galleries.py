"""A vector index that remembers the views that it keeps and gives: re-ranking asks for all views of its candidates.

A tracklet's views are remembered together: those that were asked for, and, while all that the index has is remembered, each
that is put into it. What is forgotten goes from here as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from retrieval.hits import Hit, Place
from retrieval.index import EVERYWHERE, Match, Near, Point, Sighting, Space, Vector, VectorIndex, Where
from retrieval.tracklet_views import TrackletViews
from retrieval.vehicle_views import VehicleViews, Words
from twin.events.ids import TrackletId, VehicleId

MOST_BYTES = 512 * 2**20
"""Of views that are remembered of a site: some 200,000, of 512 components."""
MOST_VEHICLE_BYTES = 128 * 2**20
"""Of what is made of them for each vehicle."""
MOST_VIEWS = 20_000
"""Views that one question may read anew; nothing is known to it of the tracklets that it named last, beyond that."""
CHUNK = 500
"""Tracklets that are read at once."""

_Spaces = Mapping[Space, TrackletViews]
_Key = tuple[Space, VehicleId]


class _Vehicle(Struct, frozen=True, kw_only=True, eq=False):
    tracklets: tuple[TrackletId, ...]
    views: VehicleViews


class GalleryIndex:
    """The port, and what is remembered beside it."""

    def __init__(
        self, index: VectorIndex, *, most_bytes: int = MOST_BYTES, most_vehicle_bytes: int = MOST_VEHICLE_BYTES
    ) -> None:
        self._index = index
        self.words = Words()
        self._most_bytes, self._most_vehicle_bytes = most_bytes, most_vehicle_bytes
        self._views: OrderedDict[TrackletId, _Spaces] = OrderedDict()
        self._place_of: dict[int, Place] = {}  # by the points' numbers, which are found quicker than their names
        self._vehicles: OrderedDict[_Key, _Vehicle] = OrderedDict()
        self._made_of: dict[TrackletId, set[_Key]] = {}
        self._n_bytes = self._n_vehicle_bytes = 0
        self._generation = 0
        self._is_whole: bool | None = None  # None: not known yet
        self._others: tuple[int, Container[TrackletId], bool] = (-1, (), False)

    async def views_of(self, space: Space, tracklets: Iterable[TrackletId]) -> dict[TrackletId, TrackletViews]:
        """Views in a space, of the tracklets that have any."""
        return (await self._views_of(space, tracklets))[0]

    async def vehicles(
        self, space: Space, tracklets: Mapping[VehicleId, Sequence[TrackletId]]
    ) -> tuple[dict[VehicleId, VehicleViews], dict[TrackletId, TrackletViews]]:
        """Views of vehicles in a space, together; and those that were looked up for it."""
        found = {name: known.views for name, each in tracklets.items() if (known := self._known(space, name, each)) is not None}
        absent = {name: each for name, each in tracklets.items() if name not in found}
        before = self._generation
        views, is_all = await self._views_of(space, (one for each in absent.values() for one in each))
        for name, each in absent.items():
            made = found[name] = VehicleViews.of([views[one] for one in each if one in views], self.words)
            if is_all and before == self._generation:
                self._keep_vehicle((space, name), _Vehicle(tracklets=tuple(each), views=made))
        return found, views

    async def hits(self, near: Sequence[Near], vehicle_of: Mapping[TrackletId, VehicleId]) -> list[Hit]:
        """What was found near, with what is remembered of it, else with what the index has; without what is gone meanwhile."""
        places = [self._place_of.get(name.int) for name, _ in near]
        absent = [name for (name, _), place in zip(near, places, strict=True) if place is None]
        read = await self._index.sightings(absent) if absent else {}
        found = list[Hit]()
        for (name, cosine), place in zip(near, places, strict=True):
            if place is not None:
                views, row = place
                vehicle, sighting = vehicle_of.get(views.tracklet), views.sightings[row]
                found.append(Hit(point=name, cosine=cosine, sighting=sighting, vehicle=vehicle, views=views, row=row))
            elif (sighting := read.get(name)) is not None:
                found.append(Hit(point=name, cosine=cosine, sighting=sighting, vehicle=vehicle_of.get(sighting.tracklet)))
        return found

    def place_of(self, point: UUID) -> Place | None:
        """A point's tracklet and its place in it, if it is remembered."""
        return self._place_of.get(point.int)

    def may_have_others(self, tracklets: Container[TrackletId]) -> bool:
        """Whether the index may have tracklets that are none of these."""
        if not self._is_whole:
            return True
        generation, asked, found = self._others
        if generation != self._generation or asked is not tracklets:
            found = any(name not in tracklets for name in self._views)
            self._others = self._generation, tracklets, found
        return found

    async def upsert(self, points: Sequence[Point], *, cursor: int) -> int:
        """See ``retrieval.index.VectorIndex``."""
        if self._is_whole is None:
            self._is_whole = await self._index.count() == 0
        self._generation += 1
        n_kept = -1
        try:
            n_kept = await self._index.upsert(points, cursor=cursor)
        finally:  # also if the caller is gone: the index may have done it all the same
            self._generation += 1
            if n_kept == len(points):
                self._learn(points)
            else:  # which of them it has is not known
                self._drop({point.sighting.tracklet for point in points})
                self._is_whole = False
        return n_kept

    async def delete(self, tracklet: TrackletId) -> int:
        """See ``retrieval.index.VectorIndex``."""
        self._drop([tracklet])
        is_done, is_whole, self._is_whole = False, self._is_whole, False
        try:
            n_points = await self._index.delete(tracklet)
            is_done = True
            return n_points
        finally:
            self._drop([tracklet])
            self._is_whole = is_whole and is_done

    async def cursor(self) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.cursor()

    async def search(
        self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE, with_vectors: bool = False
    ) -> list[Match]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.search(embedder, probe, limit=limit, where=where, with_vectors=with_vectors)

    async def nearest(self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE) -> list[Near]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.nearest(embedder, probe, limit=limit, where=where)

    async def sightings(self, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        """See ``retrieval.index.VectorIndex``."""
        found = {name: place[0].sightings[place[1]] for name in ids if (place := self._place_of.get(name.int)) is not None}
        if absent := [name for name in ids if name not in found]:
            found |= await self._index.sightings(absent)
        return found

    async def points_of(self, tracklet: TrackletId) -> list[Point]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.points_of(tracklet)

    async def points_of_many(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Point]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.points_of_many(tracklets, limit=limit, where=where)

    async def sightings_of(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Sighting]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.sightings_of(tracklets, limit=limit, where=where)

    async def embedders(self) -> dict[str, int]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.embedders()

    async def count(self) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.count()

    async def aclose(self) -> None:
        """See ``retrieval.index.VectorIndex``."""
        await self._index.aclose()

    async def _views_of(self, space: Space, tracklets: Iterable[TrackletId]) -> tuple[dict[TrackletId, TrackletViews], bool]:
        """Those that have any; and whether all were looked at."""
        wanted, is_all = list(dict.fromkeys(tracklets)), True
        found = {name: self._views[name] for name in wanted if name in self._views}
        for name in found:
            self._views.move_to_end(name)
        if absent := [name for name in wanted if name not in found]:
            read, is_all = await self._read(absent)
            found |= read
        return {name: found[name][space] for name in wanted if space in found.get(name, {})}, is_all

    async def _read(self, tracklets: Collection[TrackletId]) -> tuple[dict[TrackletId, _Spaces], bool]:
        names, found, n_left = list(tracklets), dict[TrackletId, _Spaces](), MOST_VIEWS
        for first in range(0, len(names), CHUNK):
            n_read, views = await self._read_chunk(names[first : first + CHUNK], n_left)
            found |= views
            n_left -= n_read
            if n_left <= 0:
                return found, False
        return found, True

    async def _read_chunk(self, tracklets: Sequence[TrackletId], limit: int) -> tuple[int, dict[TrackletId, _Spaces]]:
        before = self._generation
        points = await self._index.points_of_many(tracklets, limit=limit)
        found = _by_tracklet(points)
        if before == self._generation and len(points) < limit:  # nothing came or went meanwhile, and all is there
            for name, spaces in found.items():
                self._keep(name, spaces)
        return len(points), found

    def _learn(self, points: Sequence[Point]) -> None:
        """What the index was given: new views of what is remembered, and new tracklets while that is all there is."""
        places = [(point.sighting.tracklet, self._place_of.get(point.id.int)) for point in points]
        elsewhere = {seen[0].tracklet for _, seen in places if seen is not None} - {name for name, _ in places}
        if elsewhere:  # a point is another tracklet's now
            self._drop(elsewhere)
            self._is_whole = False
        for name, spaces in _by_tracklet(points).items():
            if (known := self._views.get(name)) is not None:
                joined = {space: known[space].joined(new) if space in known else new for space, new in spaces.items()}
                self._keep(name, {**known, **joined})
            elif self._is_whole:
                self._keep(name, spaces)
            else:
                self._forget_vehicles(name)

    def _keep(self, tracklet: TrackletId, spaces: _Spaces) -> None:
        self._remove(tracklet)
        self._views[tracklet] = spaces
        self._n_bytes += _n_bytes(spaces)
        for views in spaces.values():
            self._place_of.update((name.int, (views, row)) for row, name in enumerate(views.ids))
        while self._n_bytes > self._most_bytes:
            self._remove(next(iter(self._views)))
            self._is_whole = False

    def _drop(self, tracklets: Iterable[TrackletId]) -> None:
        self._generation += 1
        for name in tracklets:
            self._remove(name)

    def _remove(self, tracklet: TrackletId) -> None:
        self._forget_vehicles(tracklet)
        if (spaces := self._views.pop(tracklet, None)) is not None:
            self._n_bytes -= _n_bytes(spaces)
            for views in spaces.values():
                for name in views.ids:
                    self._place_of.pop(name.int, None)

    def _known(self, space: Space, vehicle: VehicleId, tracklets: Sequence[TrackletId]) -> _Vehicle | None:
        known = self._vehicles.get((space, vehicle))
        if known is None or known.tracklets != tuple(tracklets):
            return None
        self._vehicles.move_to_end((space, vehicle))
        return known

    def _keep_vehicle(self, key: _Key, vehicle: _Vehicle) -> None:
        self._forget_vehicle(key)
        self._vehicles[key] = vehicle
        self._n_vehicle_bytes += vehicle.views.n_bytes
        for name in vehicle.tracklets:
            self._made_of.setdefault(name, set()).add(key)
        while self._n_vehicle_bytes > self._most_vehicle_bytes:
            self._forget_vehicle(next(iter(self._vehicles)))

    def _forget_vehicles(self, tracklet: TrackletId) -> None:
        for key in tuple(self._made_of.get(tracklet, ())):
            self._forget_vehicle(key)

    def _forget_vehicle(self, key: _Key) -> None:
        if (before := self._vehicles.pop(key, None)) is None:
            return
        self._n_vehicle_bytes -= before.views.n_bytes
        for name in before.tracklets:
            keys = self._made_of[name]
            keys.discard(key)
            if not keys:
                del self._made_of[name]


def _by_tracklet(points: Iterable[Point]) -> dict[TrackletId, _Spaces]:
    groups: dict[TrackletId, dict[Space, dict[UUID, Point]]] = {}
    for point in points:
        groups.setdefault(point.sighting.tracklet, {}).setdefault(point.space, {})[point.id] = point
    return {
        name: {space: TrackletViews.of(tuple(group.values())) for space, group in spaces.items()}
        for name, spaces in groups.items()
    }


def _n_bytes(spaces: _Spaces) -> int:
    return 200 + sum(each.n_bytes for each in spaces.values())
