"""A durable subscription as a consumer sees it: an endless iterator of events, acknowledged as they are done."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self
from urllib.parse import quote

import httpx2
import msgspec
from msgspec import Struct

from twin.client.connection import Connection, ServiceError, checked, now_s
from twin.errors import BadInput, UnknownEventType
from twin.events.codec import from_cloudevent, micros
from twin.events.envelope import FactEvent
from twin.events.ids import EventId, Micros

_ACKNOWLEDGE_S = 0.1  # from one acknowledgement's answer to the next one

_logger = logging.getLogger(__name__)


class Event(Struct, frozen=True, kw_only=True):
    """A fact as it was delivered.

    Attributes:
        fact: typed; None where the service is newer than this client and the type is not known here.
        recorded_at: when the twin came to know it.
        n_attempts: how many times it was delivered, this time included; 0 where it was read from the log.
        attributes: the whole CloudEvent.
    """

    id: EventId
    type: str
    position: int
    recorded_at: Micros
    fact: FactEvent | None
    n_attempts: int
    attributes: Mapping[str, Any]


class Taking(Struct, frozen=True, kw_only=True):
    """How events are taken; see ``Client.subscribe``."""

    limit: int
    lease_s: float
    wait_s: float
    consumer: str


class _Handed(Struct):
    n_attempts: int
    event: dict[str, Any]


class _Lease(Struct):
    lease: int
    deliveries: list[_Handed]


class _Done(Struct):
    lost: list[str]


class _Extended(Struct):
    is_held: bool


class Subscription:
    """What ``Client.subscribe`` gives: an async iterator of ``Event``; for one task at a time.

    Events that are done are acknowledged while the loop goes on, several at once, one request at a time; all of a lease before
    the next one is taken.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        wanted: Mapping[str, Any],
        taking: Taking,
        *,
        is_filtered: bool,
    ) -> None:
        self._connection = connection
        self._path = quote(name, safe="")
        self._wanted = wanted
        self._is_filtered = is_filtered
        self._taking = taking
        self._lease_s = taking.lease_s * 1.5  # an event that is given has at least two thirds of it left
        self._is_made = False
        self._lease = 0
        self._held_until_s = 0.0  # of the monotonic clock
        self._waiting: deque[Event] = deque()
        self._current: Event | None = None
        self._done: list[str] = []  # and not acknowledged; of this lease
        self._acknowledged_s = 0.0
        self._timer: asyncio.TimerHandle | None = None  # until the next acknowledgement begins
        self._telling: asyncio.Task[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Note that the event before is done, and give the next; raises ServiceError."""
        if self._current is not None:
            self._done.append(str(self._current.position))
            self._current = None
        if self._telling is not None and self._telling.done():
            await self._told()
        self._tell_soon()
        await asyncio.sleep(0)  # a body that never waits must not hold acknowledgements up
        await self._hold()
        while not self._waiting:
            await self._tell()
            await self._take()
        self._current = self._waiting.popleft()
        return self._current

    async def refuse(self, reason: str) -> None:
        """The event at hand cannot be done now: it comes again later, and is parked if it fails too often.

        Raises:
            BadInput: there is none at hand.
            ServiceError: the service refused.
        """
        if self._current is None:
            raise BadInput("there is no event at hand; refuse inside the loop's body")
        failed, self._current = self._current, None
        # What follows in the same session is taken back with it; the others are taken anew too, which is simple and rare.
        self._waiting.clear()
        await self._tell()
        await self._post("refuse", {"lease": self._lease, "position": str(failed.position), "reason": reason})
        await self._post("release", {"lease": self._lease})
        self._lease = 0

    async def aclose(self, error: Exception | None = None) -> None:
        """Acknowledge what is done and give back what is not; with an error, refuse the event at hand."""
        try:
            async with asyncio.timeout(5.0):
                try:
                    if self._current is not None and error is not None:
                        await self.refuse(f"{type(error).__name__}: {error}")
                    await self._tell()
                except ServiceError as refused:
                    _logger.warning("what subscription '%s' had done is not all acknowledged: %s", self._path, refused)
                if self._lease:
                    await self._post("release", {"lease": self._lease})
        except (TimeoutError, ServiceError) as away:
            _logger.warning("what subscription '%s' held is delivered again when its lease ends: %s", self._path, away)
        finally:
            self._stop_telling()
        self._lease, self._current = 0, None
        self._waiting.clear()

    def _tell_soon(self) -> None:
        """See that what is done is acknowledged, also if the next body takes long."""
        if self._done and self._timer is None and self._telling is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._acknowledged_s + _ACKNOWLEDGE_S, self._begin_to_tell)

    def _begin_to_tell(self) -> None:
        self._timer = None
        self._telling = asyncio.create_task(self._acknowledge())
        self._telling.add_done_callback(self._go_on_telling)

    def _go_on_telling(self, told: asyncio.Task[None]) -> None:
        """What went wrong is left to be raised to whoever takes the next event; if nobody does, it matters to nobody."""
        if not told.cancelled() and told.exception() is None and told is self._telling:
            self._telling = None
            self._tell_soon()

    def _stop_telling(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._telling is not None:
            self._telling.cancel()
        self._timer = self._telling = None

    async def _told(self) -> None:
        """Wait for the acknowledgement that is on its way, if one is; raises what it met."""
        if self._telling is not None:
            telling, self._telling = self._telling, None
            await telling

    async def _tell(self) -> None:
        """Acknowledge all that is done."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with suppress(ServiceError):  # it left all that it was to tell, and what goes on is raised here
            await self._told()
        if self._done:
            await self._acknowledge()

    async def _acknowledge(self) -> None:
        done, self._done = self._done, []
        try:
            answer = await self._post("acknowledge", {"lease": self._lease, "positions": done})
        except BaseException:
            self._done = done + self._done
            raise
        self._acknowledged_s = now_s()
        if lost := msgspec.json.decode(answer.content, type=_Done).lost:
            _logger.warning("%d events of subscription '%s' were done after their lease ended", len(lost), self._path)
            self._waiting.clear()

    async def _hold(self) -> None:
        """Before an event is given, its lease must last as long as its body may take."""
        if not self._waiting or now_s() < self._held_until_s - self._taking.lease_s:
            return
        asked_s = now_s()
        answer = await self._post("extend", {"lease": self._lease, "lease_s": self._lease_s})
        if msgspec.json.decode(answer.content, type=_Extended).is_held:
            self._held_until_s = asked_s + self._lease_s
        else:
            self._waiting.clear()

    async def _take(self) -> None:
        if not self._is_made:
            await self._make()
        asked_s = now_s()
        wanted = {**msgspec.structs.asdict(self._taking), "lease_s": self._lease_s}
        answer = msgspec.json.decode((await self._post("lease", wanted)).content, type=_Lease)
        self._lease, self._held_until_s = answer.lease, asked_s + self._lease_s
        self._waiting.extend(map(_event, answer.deliveries))

    async def _make(self) -> None:
        path = f"subscriptions/{self._path}"
        there = await self._connection.request("GET", path, is_followed=True)
        if there.status_code == 404 or self._is_filtered:
            await self._connection.answer("PUT", path, body=self._wanted, is_followed=True)
        else:
            checked(there)
        self._is_made = True

    async def _post(self, what: str, body: Mapping[str, Any]) -> httpx2.Response:
        return await self._connection.answer("POST", f"subscriptions/{self._path}/{what}", body=body, is_followed=True)


def _event(handed: _Handed) -> Event:
    return event_of(handed.event, n_attempts=handed.n_attempts)


def event_of(told: Mapping[str, Any], *, n_attempts: int = 0) -> Event:
    """A fact that the service told as CloudEvents JSON."""
    try:
        fact = from_cloudevent(told)
    except UnknownEventType:
        fact = None
    return Event(
        id=told["id"],
        type=told["type"],
        position=int(told["position"]),
        recorded_at=micros(told["recordedtime"]),
        fact=fact if isinstance(fact, FactEvent) else None,
        n_attempts=n_attempts,
        attributes=told,
    )
