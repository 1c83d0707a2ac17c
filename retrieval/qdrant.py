"""The vector index in this process: Qdrant Edge, one shard for each space, all in one folder a site.

Updates go to the shards and are flushed before ``index.json`` is replaced, which holds the cursor. Every call runs on
one thread of the index's own: a shard has one owner, and the event loop never waits for a disk.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import numpy as np
import qdrant_edge as qdrant
from msgspec import Struct

from retrieval.folder import FolderLock, settle
from retrieval.index import EVERYWHERE, Match, Near, Point, Sighting, Space, Vector, Where, admitted, payload_of, space_name
from retrieval.qdrant_filter import filter_of, index_fields
from twin.errors import BadInput, Conflict, LogClosed, QuotaExceeded
from twin.events.ids import TrackletId

SCHEMA = "twin.search/1"
STATE_FILE = "index.json"
PAGE = 1_000
LEAST_ROOM = 64 * 2**20
"""Free bytes below which a disk is full: shards are mapped into memory, and a page that finds no room kills the process."""

T = TypeVar("T")


class _Shard(Struct, frozen=True, kw_only=True):
    embedder: str
    n_components: int
    folder: str


class _State(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: str = SCHEMA
    cursor: int = 0
    shards: tuple[_Shard, ...] = ()


class QdrantIndex:
    """A folder of shards. Open it with ``open``; one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: FolderLock | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"search {folder.name}")
        self._shards: dict[Space, qdrant.EdgeShard] = {}
        self._state = _State()
        self._is_closed = False

    @classmethod
    async def open(cls, folder: Path) -> QdrantIndex:
        """Open an index, or make an empty one.

        Raises:
            BadInput: the folder holds something else, or is damaged.
            Conflict: another process has it open.
            QuotaExceeded: there is an index, and no room for what opening it writes.
        """
        index = cls(folder)
        try:
            await index._call(index._load)
        except BaseException:
            await index.aclose()
            raise
        return index

    async def upsert(self, points: Sequence[Point], *, cursor: int) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return await self._call(lambda: self._upsert(points, cursor))

    async def cursor(self) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return self._state.cursor

    async def search(
        self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE, with_vectors: bool = False
    ) -> list[Match]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._call(lambda: self._search((embedder, len(probe)), probe, limit, where, with_vectors))

    async def nearest(self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE) -> list[Near]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._call(lambda: self._nearest((embedder, len(probe)), probe, limit, where))

    async def sightings(self, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._call(lambda: self._sightings(list(ids))) if ids else {}

    async def points_of(self, tracklet: TrackletId) -> list[Point]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._points_of([tracklet], None, EVERYWHERE)

    async def points_of_many(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Point]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._points_of(tracklets, limit, where)

    async def sightings_of(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Sighting]:
        """See ``retrieval.index.VectorIndex``."""
        if not tracklets:
            return []
        found = await self._call(
            lambda: [_sighting(record.payload) for record in self._scroll(filter_of(where, tracklets), limit)]
        )
        return sorted(found, key=lambda one: (one.at, one.camera, one.tracklet))

    async def delete(self, tracklet: TrackletId) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return await self._call(lambda: self._delete(tracklet))

    async def embedders(self) -> dict[str, int]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._call(self._embedders)

    async def count(self) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return sum((await self.embedders()).values())

    async def aclose(self) -> None:
        """See ``retrieval.index.VectorIndex``."""
        if not self._is_closed:
            await self._call(self._close)
            self._is_closed = True
            self._thread.shutdown()

    async def _points_of(self, tracklets: Collection[TrackletId], limit: int | None, where: Where) -> list[Point]:
        if not tracklets:
            return []
        found = await self._call(
            lambda: [_point(record) for record in self._scroll(filter_of(where, tracklets), limit, with_vector=True)]
        )
        return sorted(found, key=lambda point: (point.sighting.at, point.id))

    async def _call(self, work: Callable[[], T]) -> T:
        if self._is_closed:
            raise LogClosed(f"the search index '{self._folder}' is closed; open it again")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _load(self) -> None:
        self._lock = FolderLock(self._folder)
        settle(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / STATE_FILE
        if path.exists():
            self._state = _read_state(path)
        if self._state.shards:
            _check_room(self._folder)
        for shard in self._state.shards:
            self._shards[shard.embedder, shard.n_components] = self._open_shard(shard)

    def _open_shard(self, shard: _Shard) -> qdrant.EdgeShard:
        folder = self._folder / shard.folder
        try:
            opened = qdrant.EdgeShard.load(str(folder))
            index_fields(opened)
            return opened
        except Exception as damaged:  # the library raises nothing more exact
            raise BadInput(
                f"the shard '{folder}' of embedder '{shard.embedder}' cannot be opened: {damaged}."
                f" Stop every process that uses it; if it is damaged, delete '{self._folder}': it is built again from the log"
            ) from damaged

    def _made(self, space: Space) -> qdrant.EdgeShard:
        """A new shard; one that a crash left before it was noted is used again."""
        embedder, n_components = space
        shard = _Shard(embedder=embedder, n_components=n_components, folder=space_name(space))
        folder = self._folder / shard.folder
        if (folder / "edge_config.json").exists():
            made = self._open_shard(shard)
        else:
            folder.mkdir(exist_ok=True)
            vectors = qdrant.EdgeVectorParams(size=n_components, distance=qdrant.Distance.Cosine)
            made = qdrant.EdgeShard.create(str(folder), qdrant.EdgeConfig(vectors=vectors, max_search_threads=1))
            index_fields(made)
        self._state = msgspec.structs.replace(self._state, shards=(*self._state.shards, shard))
        return made

    def _upsert(self, points: Sequence[Point], cursor: int) -> int:
        if cursor < self._state.cursor:
            raise Conflict(f"cursor {cursor} is behind the search index's {self._state.cursor}; a cursor only moves on")
        kept = admitted(points, self._shards)
        _check_room(self._folder)
        for space, group in kept.items():
            if space not in self._shards:
                self._shards[space] = self._made(space)
                # Before its first points: what a crash leaves in a shard that nobody knows of could not be erased.
                _write_state(self._folder / STATE_FILE, self._state)
            made = [qdrant.Point(one.id, one.vector.tolist(), payload_of(one.sighting)) for one in group]
            self._shards[space].update(qdrant.UpdateOperation.upsert_points(made))
            self._shards[space].flush()
        self._state = msgspec.structs.replace(self._state, cursor=cursor)
        _write_state(self._folder / STATE_FILE, self._state)
        return sum(map(len, kept.values()))

    def _search(self, space: Space, probe: Vector, limit: int, where: Where, with_vectors: bool) -> list[Match]:
        if (shard := self._shards.get(space)) is None:
            return []
        query = qdrant.Query.Nearest(probe.tolist())
        wanted = qdrant.SearchRequest(query, limit, filter=filter_of(where), with_payload=True, with_vector=with_vectors)
        return [
            Match(cosine=one.score, sighting=_sighting(one.payload), vector=_vector(one.vector) if with_vectors else None)
            for one in shard.search(wanted)
        ]

    def _nearest(self, space: Space, probe: Vector, limit: int, where: Where) -> list[Near]:
        if (shard := self._shards.get(space)) is None:
            return []
        wanted = qdrant.SearchRequest(qdrant.Query.Nearest(probe.tolist()), limit, filter=filter_of(where))
        return [(_id(one.id), one.score) for one in shard.search(wanted)]

    def _sightings(self, ids: list[UUID]) -> dict[UUID, Sighting]:
        found: dict[UUID, Sighting] = {}
        for shard in self._shards.values():
            found |= {_id(one.id): _sighting(one.payload) for one in shard.retrieve(list(ids), True, False)}
        return found

    def _scroll(self, where: qdrant.Filter, limit: int | None, *, with_vector: bool = False) -> list[qdrant.Record]:
        records: list[qdrant.Record] = []
        for shard in self._shards.values():
            offset: Any = None
            while limit is None or len(records) < limit:
                size = PAGE if limit is None else min(PAGE, limit - len(records))
                page, offset = shard.scroll(
                    qdrant.ScrollRequest(offset, size, filter=where, with_payload=True, with_vector=with_vector)
                )
                records += page
                if offset is None:
                    break
        return records

    def _delete(self, tracklet: TrackletId) -> int:
        where = filter_of(tracklets=[tracklet])
        n_points = 0
        for shard in self._shards.values():
            if n_here := shard.count(qdrant.CountRequest(exact=True, filter=where)):
                shard.update(qdrant.UpdateOperation.delete_points_by_filter(where))
                shard.flush()
                n_points += n_here
        return n_points

    def _embedders(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for (embedder, _), shard in sorted(self._shards.items()):
            if n_points := shard.count(qdrant.CountRequest(exact=True)):
                counts[embedder] = counts.get(embedder, 0) + n_points
        return counts

    def _close(self) -> None:
        for shard in self._shards.values():
            shard.close()
        self._shards.clear()
        if self._lock is not None:
            self._lock.release()


def _check_room(folder: Path) -> None:
    if (free := shutil.disk_usage(folder).free) < LEAST_ROOM:
        raise QuotaExceeded(
            f"the disk of the search index '{folder}' has {free / 2**20:.0f} MiB left, and image search needs "
            f"{LEAST_ROOM // 2**20}; make room"
        )


def _read_state(path: Path) -> _State:
    try:
        state = msgspec.json.decode(path.read_bytes(), type=_State)
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise BadInput(f"'{path}' cannot be read: {wrong}; delete '{path.parent}': it is built again from the log") from None
    if state.schema != SCHEMA:
        raise BadInput(f"'{path}' has schema '{state.schema}', this version needs '{SCHEMA}'; delete '{path.parent}'")
    return state


def _write_state(path: Path, state: _State) -> None:
    """Replace the file so that a crash leaves the old one or the new one."""
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(state))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _sighting(payload: Any) -> Sighting:
    return msgspec.convert(payload, Sighting)


def _id(name: Any) -> UUID:
    return name if isinstance(name, UUID) else UUID(str(name))


def _point(record: qdrant.Record) -> Point:
    return Point(id=_id(record.id), vector=_vector(record.vector), sighting=_sighting(record.payload))


def _vector(components: Any) -> Vector:
    # The shard keeps the unit vector that it was given, to the last bits of a float32.
    return np.asarray(components, np.float32)
