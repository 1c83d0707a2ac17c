"""What a site's twin knows, in the types that the service answers with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import msgspec
from msgspec import Struct

from retrieval.told import SearchAnswer
from twin.client.connection import Connection
from twin.client.subscription import Event, event_of
from twin.events.state import OccupancyView, StateView
from twin.projections.answers import Facts, Ledger, Sessions, Vehicles, VehicleTold
from twin.projections.change_answers import Changes
from twin.projections.corrections import Correction, Corrections
from twin.projections.due import DueView
from twin.projections.ledger import LedgerLineView
from twin.projections.occupancy_answers import SeriesView, TurnoverView
from twin.projections.picture_answers import PicturesTold
from twin.projections.review import Review
from twin.projections.sessions import SessionView
from twin.projections.standing_answers import SubscriptionList, SubscriptionView
from twin.projections.stay import StayTold

_PAGE = 1_000
_CORRECTIONS = 200
_EMPTY = 204

T = TypeVar("T", Sessions, Ledger, Corrections)


class Known(TypedDict, total=False):
    """What reads take that are about a time of their own.

    Attributes:
        known_at: a fact position, or a time.
        wait_for: a receipt's position, or ``fact:`` and one of the fact log: read your writes.
        wait_s: how long to wait for it.
    """

    known_at: int | str | datetime | None
    wait_for: int | str | None
    wait_s: float | None


class Moment(Known, total=False):
    """What reads of a moment take.

    Attributes:
        at: valid time, RFC 3339 or a datetime with a UTC offset.
    """

    at: str | datetime | None


class CameraPicture(Struct, frozen=True, kw_only=True):
    """A camera's latest picture, as it was sent.

    Attributes:
        taken_at: exposure time by the camera's clock; ``received_at`` is by the service's.
    """

    jpeg: bytes
    taken_at: str
    received_at: str


class Reads:
    """Reads of a site; each raises ServiceError where the service refuses."""

    _connection: Connection

    async def state(self, **moment: Unpack[Moment]) -> StateView:
        """The whole state at a moment."""
        return await self._connection.read(StateView, "state", query_of(moment))

    async def vehicles(self, **moment: Unpack[Moment]) -> Vehicles:
        """Vehicles on the site at a moment."""
        return await self._connection.read(Vehicles, "vehicles", query_of(moment))

    async def vehicle(self, vehicle: str, *, limit: int | None = None, **moment: Unpack[Moment]) -> VehicleTold:
        """One vehicle at a moment, and the last ``limit`` facts of its past."""
        return await self._connection.read(VehicleTold, f"vehicles/{named(vehicle)}", query_of(moment, limit=limit))

    async def occupancy(self, **moment: Unpack[Moment]) -> OccupancyView:
        """Zones, stalls and counters at a moment."""
        return await self._connection.read(OccupancyView, "occupancy", query_of(moment))

    async def occupancy_series(
        self,
        *,
        from_: str | datetime,
        until: str | datetime,
        step_s: int | None = None,
        zone: str | None = None,
        **known: Unpack[Known],
    ) -> SeriesView:
        """Zones with their stalls, and counters, at equal steps of valid time."""
        query = query_of(known, from_=from_, until=until, step_s=step_s, zone=zone)
        return await self._connection.read(SeriesView, "occupancy/series", query)

    async def turnover(
        self,
        *,
        from_: str | datetime,
        until: str | datetime,
        zone: str | None = None,
        **known: Unpack[Known],
    ) -> TurnoverView:
        """How a site was used in a stretch of valid time."""
        query = query_of(known, from_=from_, until=until, zone=zone)
        return await self._connection.read(TurnoverView, "occupancy/turnover", query)

    async def due(self, session: str, *, at: str | datetime, **known: Unpack[Known]) -> DueView:
        """What a stay costs if it ends at a time."""
        query = query_of(known, at=at)
        return await self._connection.read(DueView, f"sessions/{named(session)}/due", query)

    async def sessions(
        self, *, vehicle: str | None = None, page: int = _PAGE, **moment: Unpack[Moment]
    ) -> AsyncIterator[SessionView]:
        """All stays that had begun at a moment, page by page, as they were known at the first page."""
        async for told in self._pages(Sessions, "sessions", query_of(moment, vehicle=vehicle, limit=page)):
            for one in told.sessions:
                yield one

    async def ledger(
        self, *, session: str | None = None, page: int = _PAGE, **moment: Unpack[Moment]
    ) -> AsyncIterator[LedgerLineView]:
        """All lines of the ledger, page by page, as they were known at the first page."""
        async for told in self._pages(Ledger, "ledger", query_of(moment, session=session, limit=page)):
            for one in told.lines:
                yield one

    async def stay(self, session: str, **moment: Unpack[Moment]) -> StayTold:
        """One stay at a moment, what it rests on, and every version of it."""
        return await self._connection.read(StayTold, f"sessions/{named(session)}", query_of(moment))

    async def review(
        self, *, from_: str | datetime | None = None, limit: int | None = None, **moment: Unpack[Moment]
    ) -> Review:
        """Stays in doubt at a moment; with ``from_`` those of which something was told since."""
        return await self._connection.read(Review, "review", query_of(moment, limit=limit, from_=from_))

    async def changes(
        self,
        *,
        from_known_at: int | str | datetime,
        to_known_at: int | str | datetime,
        at: str | datetime | None = None,
        from_: str | datetime | None = None,
        until: str | datetime | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Changes:
        """A page of what came to be known between two positions, of the state ``at`` a time or of a stretch of time."""
        known = {"from_known_at": from_known_at, "to_known_at": to_known_at}
        query = query_of(known, at=at, until=until, after=after, limit=limit, from_=from_)
        return await self._connection.read(Changes, "changes", query)

    async def corrections(
        self,
        *,
        from_: str | datetime | None = None,
        until: str | datetime | None = None,
        known_at: int | str | datetime | None = None,
        page: int = _CORRECTIONS,
    ) -> AsyncIterator[Correction]:
        """Where the past came to be known otherwise, in the order in which it was learned, page by page."""
        query = query_of({"from": from_, "until": until, "known_at": known_at, "limit": page})
        async for told in self._pages(Corrections, "corrections", query):
            for one in told.corrections:
                yield one

    async def pictures(self, *, camera: str | None = None) -> PicturesTold:
        """What each camera's latest picture shows: its boxes, with the vehicles that the twin has for them."""
        return await self._connection.read(PicturesTold, "pictures", query_of({"camera": camera}))

    async def picture(self, camera: str) -> CameraPicture | None:
        """A camera's latest picture; None where none was sent since the service started."""
        answer = await self._connection.answer("GET", f"cameras/{named(camera)}/picture")
        if answer.status_code == _EMPTY:
            return None
        headers = answer.headers
        return CameraPicture(jpeg=answer.content, taken_at=headers["x-taken-at"], received_at=headers["x-received-at"])

    async def standings(self) -> SubscriptionList:
        """All durable subscriptions, and how far each is."""
        return await self._connection.read(SubscriptionList, "subscriptions")

    async def standing(self, subscription: str) -> SubscriptionView:
        """How far one subscription is, and what it has parked."""
        return await self._connection.read(SubscriptionView, f"subscriptions/{named(subscription)}")

    async def facts(self, *, after: int | None = None, limit: int | None = None, **moment: Unpack[Moment]) -> Facts:
        """One page of the fact log, as CloudEvents."""
        return await self._connection.read(Facts, "facts", query_of(moment, after=after, limit=limit))

    async def fact_log(self, *, after: int | None = None, page: int = _PAGE, **moment: Unpack[Moment]) -> AsyncIterator[Event]:
        """All facts after a position, page by page, until there are no more."""
        following: int | None = after
        while True:
            told = await self.facts(after=following, limit=page, **moment)
            for one in told.facts:
                yield event_of(one)
            if isinstance(told.next, msgspec.UnsetType):
                return
            following = int(told.next)

    async def search_tracklet(self, tracklet: str, **conditions: Any) -> SearchAnswer:
        """Vehicles that look like a sighting; ``conditions`` are the parameters of the service's search."""
        query = query_of({"tracklet": tracklet, **conditions})
        return await self._connection.read(SearchAnswer, "search", query)

    async def search_picture(self, *pictures: bytes, media_type: str = "image/jpeg", **conditions: Any) -> SearchAnswer:
        """Vehicles that look like one that is in these pictures; ``conditions`` as of ``search_tracklet``."""
        files = [("image", (f"picture-{number}", one, media_type)) for number, one in enumerate(pictures)]
        answer = await self._connection.answer("POST", "search", query=query_of(conditions), files=files)
        return msgspec.json.decode(answer.content, type=SearchAnswer)

    async def _pages(self, kind: type[T], path: str, query: Mapping[str, str]) -> AsyncIterator[T]:
        """Each page as it was known at the first one: its cursor pins that, or its ``position`` where that is the cursor."""
        after: str | msgspec.UnsetType = "0"
        while not isinstance(after, msgspec.UnsetType):
            told = await self._connection.read(kind, path, {**query, "after": after})
            yield told
            after, query = told.next, {name: one for name, one in query.items() if name not in ("known_at", "wait_for")}
            if isinstance(told, Corrections):
                query["known_at"] = told.position


def query_of(given: Mapping[str, Any], **more: Any) -> dict[str, str]:
    """Parameters of a query: what is None is left out, lists have commas, and times are RFC 3339."""
    return {name.rstrip("_"): _text(one) for name, one in {**given, **more}.items() if one is not None}


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return ",".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)


def named(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="")
