"""Follows the observation log into the index."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from uuid import UUID

from retrieval.index import Point, Sighting, VectorIndex, unit_vector
from twin.errors import CodecError, Conflict, LogClosed, Overloaded, QuotaExceeded
from twin.events.envelope import ObservationEvent, RecordedObservation
from twin.events.ids import SiteId, TrackletId
from twin.events.observations import Personal, TrackletEmbedded
from twin.log.keys import KeyRing
from twin.log.port import Log
from twin.log.sealing import personal_of

CURSOR_EVERY = 2_000
"""Positions without a view after which the cursor moves all the same: moving it costs two fsyncs, reading again little."""

PAGE = 1_000
"""Positions read at once when the log is not followed but read to a position."""

ROOM_EVERY_S = 10.0
"""How long to wait for room on a full disk, or for a server, before it is looked for again."""

_logger = logging.getLogger(__name__)


class IndexFollower:
    """Puts every good view of a site into its index; views whose key was destroyed are passed over."""

    def __init__(self, log: Log, keys: KeyRing, index: VectorIndex, site: SiteId) -> None:
        self._log = log
        self._keys = keys
        self._index = index
        self._site = site
        self._cursor = 0  # the last that is known to be durable
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Follow from the index's cursor until cancelled, or until the log closes.

        Raises:
            Conflict: the index has seen more than the log holds: it was made from another log.
        """
        with suppress(LogClosed):
            self._cursor = await self._index.cursor()
            await self._check_head()
            begins = max(self._cursor, (await self._log.cuts(self._site)).observations)  # older views are cut, and not missed
            async with aclosing(self._log.tail_observations(self._site, after=begins)) as batches:
                async for batch in batches:
                    await self._keep_when_there_is_room(batch)

    async def catch_up(self, until: int, told: Callable[[int, int], None] = lambda done, of: None, page: int = PAGE) -> None:
        """Keep the views up to a position of the log, and end; the cursor is there then.

        Args:
            told: how far it is, of how far.

        Raises:
            Conflict: the index has seen more than the log holds.
            QuotaExceeded, Overloaded: there is no room for it, or no server.
        """
        self._cursor = await self._index.cursor()
        await self._check_head()
        position = max(self._cursor, (await self._log.cuts(self._site)).observations)
        while position < until:
            batch = await self._log.observations(self._site, after=position, limit=min(page, until - position))
            if not batch:
                break
            async with self._lock:
                await self._keep(batch)
            position = batch[-1].position
            told(position, until)
        if position > self._cursor:
            await self._index.upsert([], cursor=position)
            self._cursor = position

    async def cursor(self) -> int:
        """The last position whose views are durably in the index."""
        return await self._index.cursor()

    async def forget(self, tracklet: TrackletId) -> int:
        """Take a tracklet whose key was destroyed out of the index, and what of it is on the way; returns its points."""
        async with self._lock:
            return await self._index.delete(tracklet)

    async def _check_head(self) -> None:
        head = (await self._log.heads(self._site)).observations
        if self._cursor > head:
            raise Conflict(
                f"the search index of site '{self._site}' is at position {self._cursor}, but its log ends at {head}: it was"
                " made from another log. Delete the index's folder; it is built again"
            )

    async def _keep_when_there_is_room(self, batch: Sequence[RecordedObservation]) -> None:
        """The log goes on without its index, which is built from it whenever there is room, and a server for it."""
        is_told = False
        while True:
            try:
                async with self._lock:
                    await self._keep(batch)
                return
            except (QuotaExceeded, Overloaded) as full:
                if not is_told:
                    _logger.warning("image search of site %s waits at position %d: %s", self._site, self._cursor, full)
                    is_told = True
            await asyncio.sleep(ROOM_EVERY_S)

    async def _keep(self, batch: Sequence[RecordedObservation]) -> None:
        points = [point for one in batch if (point := await self._point(one)) is not None]
        position = batch[-1].position
        if not points and position - self._cursor < CURSOR_EVERY:
            return
        n_kept = await self._index.upsert(points, cursor=position)
        self._cursor = position
        if n_kept < len(points):
            names = sorted({point.sighting.embedder for point in points})
            _logger.warning("site %s has too many embedders: %d views of %s left out", self._site, len(points) - n_kept, names)

    async def _point(self, recorded: RecordedObservation) -> Point | None:
        event = recorded.event
        if not isinstance(event.payload, TrackletEmbedded):
            return None
        try:
            personal = await personal_of(self._keys, event)
        except CodecError as damaged:
            _logger.warning("position %d of site %s is passed over: %s", recorded.position, self._site, damaged)
            return None
        return None if personal is None else point_of(event, event.payload, personal)


def point_of(event: ObservationEvent, view: TrackletEmbedded, personal: Personal) -> Point | None:
    """The point of a view; None where its embedding has no direction."""
    vector = unit_vector(personal.embedding)
    if vector is None:
        return None
    sighting = Sighting(
        site=event.site,
        camera=view.camera,
        tracklet=view.tracklet,
        at=event.occurred_at,
        kind=view.kind,
        quality=view.quality,
        embedder=view.embedder,
        crop=personal.crop,
        colour=None if view.colour is None else view.colour.name,
        colour_score=0.0 if view.colour is None else view.colour.score,
        body=None if view.body is None else view.body.name,
        plate=None if personal.plate is None else personal.plate.text,
        box_px=view.box_px,
    )
    return Point(id=UUID(hex=event.id), vector=vector, sighting=sighting)
