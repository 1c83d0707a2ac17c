"""The vector index in a Qdrant server or cluster. Not verified against a server: only against the client's local mode.

Each space is a collection for all sites, ``<prefix>-<space>-<generation>``, and each site a shard of it (custom sharding,
the site's name is the shard key). One collection more has a point a site: its cursor and its spaces, written after the
points that it speaks of were acknowledged. Everything is asked for by aliases without the generation, so that another
generation is filled beside the one that answers, and ``publish`` puts it in the other's place in one step.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
import numpy as np
from msgspec import Struct
from qdrant_client import AsyncQdrantClient, models

from retrieval.conditions import KEYWORDS
from retrieval.index import EVERYWHERE, Match, Near, Point, Sighting, Space, Vector, Where, admitted, payload_of, space_name
from retrieval.qdrant_server_words import filter_of, our_errors
from twin.errors import Conflict, LogClosed
from twin.events.ids import SiteId, TrackletId

PAGE = 1_000
BATCH = 256
"""Points in one request: a thousand of 512 components would be 10 MB of JSON."""


class ServerOptions(Struct, frozen=True, kw_only=True):
    """How collections are made; it does not change those that there are.

    Attributes:
        prefix: of every collection's name.
        replication_factor, write_consistency_factor: copies of each shard, and how many acknowledge a write.
        is_quantized: vectors are compared as int8 in memory first, and the best again as they are.
        is_local: the client's local mode, for tests: it has neither shards nor payload indexes.
    """

    prefix: str = "twin"
    replication_factor: int = 1
    write_consistency_factor: int = 1
    is_quantized: bool = True
    is_local: bool = False


class _State(Struct, frozen=True, kw_only=True):
    site: SiteId
    cursor: int = 0
    spaces: tuple[Space, ...] = ()


class QdrantServerIndex:
    """One site's points in collections that sites share. Open it with ``open``; one process a site writes."""

    def __init__(self, client: AsyncQdrantClient, site: SiteId, options: ServerOptions, generation: int | None) -> None:
        self._client = client
        self._options = options
        self._generation = generation
        self._state = _State(site=site)
        self._shard = None if options.is_local else str(site)
        self._is_closed = False

    @classmethod
    async def open(
        cls,
        client: AsyncQdrantClient,
        site: SiteId,
        options: ServerOptions = ServerOptions(),  # noqa: B008  frozen
        *,
        generation: int | None = None,
    ) -> QdrantServerIndex:
        """A site's index, which owns the client from now on.

        Args:
            generation: fill this one, which does not answer until it is published; None: the one that answers.

        Raises:
            Overloaded: the server cannot be reached.
            BadInput: it refuses, or a collection is not what it should be.
        """
        index = cls(client, site, options, generation)
        try:
            with our_errors():
                await index._made("meta", 1)
                await index._read_state()
        except BaseException:
            await index.aclose()
            raise
        return index

    async def upsert(self, points: Sequence[Point], *, cursor: int) -> int:
        """See ``retrieval.index.VectorIndex``."""
        with self._asking():
            if cursor < self._state.cursor:
                raise Conflict(f"cursor {cursor} is behind the search index's {self._state.cursor}; a cursor only moves on")
            kept = admitted(points, self._state.spaces)
            if new := [space for space in kept if space not in self._state.spaces]:
                for space in new:
                    await self._made(space_name(space), space[1])
                # Before their first points: what a crash leaves in a space that nobody knows of could not be erased.
                await self._write_state(msgspec.structs.replace(self._state, spaces=(*self._state.spaces, *new)))
            for space, group in kept.items():
                for start in range(0, len(group), BATCH):
                    await self._put(space_name(space), group[start : start + BATCH])
            await self._write_state(msgspec.structs.replace(self._state, cursor=cursor))
            return sum(map(len, kept.values()))

    async def cursor(self) -> int:
        """See ``retrieval.index.VectorIndex``."""
        with self._asking():
            await self._read_state()
            return self._state.cursor

    async def search(
        self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE, with_vectors: bool = False
    ) -> list[Match]:
        """See ``retrieval.index.VectorIndex``."""
        return [
            Match(cosine=one.score, sighting=_sighting(one.payload), vector=_vector(one.vector) if with_vectors else None)
            for one in await self._found((embedder, len(probe)), probe, limit, where, with_vectors=with_vectors)
        ]

    async def nearest(self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE) -> list[Near]:
        """See ``retrieval.index.VectorIndex``."""
        found = await self._found((embedder, len(probe)), probe, limit, where, with_payload=False)
        return [(UUID(str(one.id)), one.score) for one in found]

    async def sightings(self, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        """See ``retrieval.index.VectorIndex``."""
        found, names = dict[UUID, Sighting](), [str(name) for name in ids]
        with self._asking():
            for space in self._state.spaces if names else ():
                name = self._name(space_name(space))
                records = await self._client.retrieve(name, names, with_payload=True, shard_key_selector=self._shard)
                found |= {UUID(str(one.id)): _sighting(one.payload) for one in records}
        return found

    async def points_of(self, tracklet: TrackletId) -> list[Point]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._points_of([tracklet], None, EVERYWHERE)

    async def points_of_many(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Point]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._points_of(tracklets, limit, where)

    async def sightings_of(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Sighting]:
        """See ``retrieval.index.VectorIndex``."""
        found = [_sighting(one.payload) for one in await self._scroll(tracklets, limit, where, with_vectors=False)]
        return sorted(found, key=lambda one: (one.at, one.camera, one.tracklet))

    async def delete(self, tracklet: TrackletId) -> int:
        """See ``retrieval.index.VectorIndex``."""
        doomed, n_points = filter_of(self._state.site, EVERYWHERE, [tracklet]), 0
        with self._asking():
            await self._read_state()
            for space in self._state.spaces:
                name = self._name(space_name(space))
                n_points += await self._count(space, doomed)
                selector = models.FilterSelector(filter=doomed)
                await self._client.delete(name, selector, wait=True, shard_key_selector=self._shard)
        return n_points

    async def embedders(self) -> dict[str, int]:
        """See ``retrieval.index.VectorIndex``."""
        counts: dict[str, int] = {}
        with self._asking():
            await self._read_state()  # another process may write
            for space in sorted(self._state.spaces):
                if n_points := await self._count(space, filter_of(self._state.site)):
                    counts[space[0]] = counts.get(space[0], 0) + n_points
        return counts

    async def count(self) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return sum((await self.embedders()).values())

    async def publish(self) -> None:
        """Put this generation, of every site, in the place of the one that answers, in one step; the other stays beside it."""
        if self._generation is None:
            return
        with self._asking():
            alias_by_collection = {one.collection_name: one.alias_name for one in (await self._client.get_aliases()).aliases}
            before, answering = f"{self._options.prefix}-", set(alias_by_collection.values())
            old = await self._names(f"{before}meta") if f"{before}meta" in answering else set()
            gone = sorted({before + name for name in old} & answering)
            changes: list[Any] = [_no_alias(alias) for alias in gone]
            changes += [_alias(before + name, self._name(name)) for name in sorted(await self._names(self._name("meta")))]
            await self._client.update_collection_aliases(changes)

    async def aclose(self) -> None:
        """See ``retrieval.index.VectorIndex``."""
        if not self._is_closed:
            self._is_closed = True
            await self._client.close()

    def _asking(self) -> Any:
        if self._is_closed:
            raise LogClosed("the search index is closed; open it again")
        return our_errors()

    def _name(self, name: str) -> str:
        alias = f"{self._options.prefix}-{name}"
        return alias if self._generation is None else f"{alias}-{self._generation}"

    async def _made(self, name: str, n_components: int) -> None:
        """The collection, its indexes and this site's shard of it, as far as they are not there."""
        asked = self._name(name)
        if not await self._client.collection_exists(asked):
            collection = asked if self._generation is not None else f"{asked}-1"
            await self._create(collection, n_components)
            if self._generation is None:
                await self._client.update_collection_aliases([_alias(asked, collection)])
        if self._shard is not None:
            known = (await self._client.get_aliases()).aliases
            collection = {one.alias_name: one.collection_name for one in known}.get(asked, asked)
            keys = (await self._client.list_shard_keys(collection)).shard_keys or []
            if self._shard not in [one.key for one in keys]:
                await self._client.create_shard_key(collection, self._shard)

    async def _create(self, collection: str, n_components: int) -> None:
        if await self._client.collection_exists(collection):  # a crash left it without its alias
            return
        options = self._options
        int8 = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        await self._client.create_collection(
            collection,
            vectors_config=models.VectorParams(size=n_components, distance=models.Distance.COSINE),
            sharding_method=None if options.is_local else models.ShardingMethod.CUSTOM,
            replication_factor=options.replication_factor,
            write_consistency_factor=options.write_consistency_factor,
            quantization_config=models.ScalarQuantization(scalar=int8) if options.is_quantized else None,
        )
        if not options.is_local:
            keyword, integer = models.PayloadSchemaType.KEYWORD, models.PayloadSchemaType.INTEGER
            tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
            for field, schema in {"site": tenant, "at": integer, **dict.fromkeys(KEYWORDS, keyword)}.items():
                await self._client.create_payload_index(collection, field, schema)

    async def _put(self, name: str, points: Sequence[Point]) -> None:
        made = [
            models.PointStruct(id=str(one.id), vector=one.vector.tolist(), payload=payload_of(one.sighting)) for one in points
        ]
        await self._client.upsert(self._name(name), made, wait=True, shard_key_selector=self._shard)

    async def _read_state(self) -> None:
        name = _state_id(self._state.site)
        found = await self._client.retrieve(self._name("meta"), [name], shard_key_selector=self._shard)
        if found:
            self._state = msgspec.convert(found[0].payload, _State)

    async def _write_state(self, state: _State) -> None:
        point = models.PointStruct(id=_state_id(state.site), vector=[1.0], payload=msgspec.to_builtins(state))
        await self._client.upsert(self._name("meta"), [point], wait=True, shard_key_selector=self._shard)
        self._state = state

    async def _found(
        self, space: Space, probe: Vector, limit: int, where: Where, *, with_payload: bool = True, with_vectors: bool = False
    ) -> list[models.ScoredPoint]:
        if space not in self._state.spaces:
            return []
        options, again = self._options, models.QuantizationSearchParams(rescore=True, oversampling=2.0)
        with self._asking():
            found = await self._client.query_points(
                self._name(space_name(space)),
                query=probe.tolist(),
                query_filter=filter_of(self._state.site, where),
                search_params=models.SearchParams(quantization=again)
                if options.is_quantized and not options.is_local
                else None,
                limit=limit,
                with_payload=with_payload,
                with_vectors=with_vectors,
                shard_key_selector=self._shard,
            )
        return found.points

    async def _names(self, meta: str) -> set[str]:
        """What belongs together: the collection of cursors, and those of the spaces that any site has."""
        records, offset = [], None
        while True:
            page, offset = await self._client.scroll(meta, limit=PAGE, offset=offset, with_payload=True)
            records += page
            if offset is None:
                break
        states = [msgspec.convert(one.payload, _State) for one in records]
        return {"meta", *(space_name(space) for state in states for space in state.spaces)}

    async def _count(self, space: Space, where: models.Filter) -> int:
        name = self._name(space_name(space))
        return (await self._client.count(name, where, exact=True, shard_key_selector=self._shard)).count

    async def _points_of(self, tracklets: Collection[TrackletId], limit: int | None, where: Where) -> list[Point]:
        records = await self._scroll(tracklets, limit, where, with_vectors=True)
        found = [Point(id=UUID(str(one.id)), vector=_vector(one.vector), sighting=_sighting(one.payload)) for one in records]
        return sorted(found, key=lambda point: (point.sighting.at, point.id))

    async def _scroll(
        self, tracklets: Collection[TrackletId], limit: int | None, where: Where, *, with_vectors: bool
    ) -> list[models.Record]:
        records: list[models.Record] = []
        with self._asking():
            for space in self._state.spaces if tracklets else ():
                offset: Any = None
                while limit is None or len(records) < limit:
                    page, offset = await self._client.scroll(
                        self._name(space_name(space)),
                        scroll_filter=filter_of(self._state.site, where, tracklets),
                        limit=PAGE if limit is None else min(PAGE, limit - len(records)),
                        offset=offset,
                        with_payload=True,
                        with_vectors=with_vectors,
                        shard_key_selector=self._shard,
                    )
                    records += page
                    if offset is None:
                        break
        return records


def _alias(alias: str, collection: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=collection, alias_name=alias))


def _no_alias(alias: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))


def _state_id(site: SiteId) -> str:
    return str(uuid5(NAMESPACE_URL, f"twin-search:{site}"))


def _sighting(payload: Any) -> Sighting:
    return msgspec.convert(payload, Sighting)


def _vector(components: Any) -> Vector:
    return np.asarray(components, np.float32)
