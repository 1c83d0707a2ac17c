"""A typed async client for subscribers.

    async with Client("http://127.0.0.1:8600", site="demo_lot") as client:
        async for event in client.subscribe("billing", types=["session.closed.v1"]):
            await bill(event.fact.payload)

An event is acknowledged soon after the loop's body ends, and delivered again when it does not: at least once, and in order
within each session. ``twin.inbox`` makes its effect happen once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2
import msgspec
from msgspec import Struct

from twin.backoff import Backoff
from twin.errors import BadInput, TwinError, UnknownEventType
from twin.events.codec import from_cloudevent, micros
from twin.events.envelope import FactEvent
from twin.events.ids import EventId, Micros

_RETRIED = frozenset({429, 500, 502, 503, 504})
_TIMEOUT_S = 80.0  # longer than the service may wait before it answers
_ACKNOWLEDGE_S = 0.1  # from one acknowledgement's answer to the next one

_logger = logging.getLogger(__name__)


class ServiceError(TwinError):
    """The service refused a request, or could not be reached for longer than the client waits."""

    slug = "service-error"


class Event(Struct, frozen=True, kw_only=True):
    """A fact as it was delivered.

    Attributes:
        fact: typed; None where the service is newer than this client and the type is not known here.
        recorded_at: when the twin came to know it.
        n_attempts: how many times it was delivered, this time included.
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


class Client:
    """One site of a service. A service that is away is tried again for as long as ``patience_s`` (None: for ever)."""

    def __init__(
        self,
        url: str,
        *,
        site: str,
        http: httpx2.AsyncClient | None = None,
        patience_s: float | None = None,
        backoff: Backoff | None = None,
        key: str | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            key: API key with the scopes of what is asked, ``read`` for subscriptions; None where access is open.

        Raises:
            BadInput: the address is none.
        """
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"'{url}' is no address of a service; give for instance http://127.0.0.1:8600")
        self._base = f"{url.rstrip('/')}/v1/sites/{quote(site, safe='')}/subscriptions"
        self._http = http or httpx2.AsyncClient(timeout=_TIMEOUT_S)
        self._is_owner = http is None
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._patience_s = patience_s
        self._backoff = backoff or Backoff(random.random, first_s=0.1, longest_s=10.0)
        self._subscriptions: list[Subscription] = []

    def subscribe(
        self,
        name: str,
        *,
        types: Iterable[str] | None = None,
        zones: Iterable[str] | None = None,
        subjects: Iterable[str] | None = None,
        after: int | None = None,
        limit: int = 200,
        lease_s: float = 60.0,
        wait_s: float = 20.0,
        consumer: str | None = None,
    ) -> Subscription:
        """Events of a durable subscription, for ever; it is made if there is none.

        Args:
            types, zones, subjects: which facts. All None: as the subscription stands, or all facts if it is new.
            after: where a new subscription begins: at this position, or with what is still to come (None).
            limit: how many events are taken at once.
            lease_s: how long the body may take for one event before it is delivered to somebody else.
            wait_s: how long the service may wait for an event before it answers that there is none.
            consumer: names this consumer among those that share the subscription, so that after a restart what it held comes
                back at once; None: a name of chance.
        """
        filters = {"types": types, "zones": zones, "subjects": subjects}
        given = {key: list(value) for key, value in filters.items() if value is not None}
        wanted = given | ({} if after is None else {"after": str(after)})
        taking = Taking(limit=limit, lease_s=lease_s, wait_s=wait_s, consumer=consumer or secrets.token_hex(8))
        made = Subscription(self, name, wanted, taking, is_filtered=bool(given))
        self._subscriptions.append(made)
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._subscriptions:
            await one.aclose(error if isinstance(error, Exception) else None)
        if self._is_owner:
            await self._http.aclose()

    async def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx2.Response:
        """One request, tried again while the service is away.

        Raises:
            ServiceError: it was refused, or the service stayed away for too long.
        """
        started, n_failures = _now_s(), 0
        content = None if body is None else msgspec.json.encode(body)
        while True:
            try:
                response = await self._http.request(method, f"{self._base}/{path}", content=content, headers=self._headers)
                if response.status_code not in _RETRIED:
                    return response
                trouble = _told(response)
            except httpx2.TransportError as wrong:
                trouble = f"{type(wrong).__name__}: {wrong}"
            n_failures += 1
            if self._patience_s is not None and _now_s() - started > self._patience_s:
                raise ServiceError(f"the service at {self._base} did not answer for {self._patience_s} s: {trouble}")
            if n_failures == 1:
                _logger.warning("the service at %s is away, trying again: %s", self._base, trouble)
            await asyncio.sleep(self._backoff.wait_s(n_failures))


class Subscription:
    """What ``Client.subscribe`` gives: an async iterator of ``Event``; for one task at a time.

    Events that are done are acknowledged while the loop goes on, several at once, one request at a time; all of a lease before
    the next one is taken.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        wanted: Mapping[str, Any],
        taking: Taking,
        *,
        is_filtered: bool,
    ) -> None:
        self._client = client
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
        self._acknowledged_s = _now_s()
        if lost := msgspec.json.decode(answer.content, type=_Done).lost:
            _logger.warning("%d events of subscription '%s' were done after their lease ended", len(lost), self._path)
            self._waiting.clear()

    async def _hold(self) -> None:
        """Before an event is given, its lease must last as long as its body may take."""
        if not self._waiting or _now_s() < self._held_until_s - self._taking.lease_s:
            return
        asked_s = _now_s()
        answer = await self._post("extend", {"lease": self._lease, "lease_s": self._lease_s})
        if msgspec.json.decode(answer.content, type=_Extended).is_held:
            self._held_until_s = asked_s + self._lease_s
        else:
            self._waiting.clear()

    async def _take(self) -> None:
        if not self._is_made:
            await self._make()
        asked_s = _now_s()
        wanted = {**msgspec.structs.asdict(self._taking), "lease_s": self._lease_s}
        answer = msgspec.json.decode((await self._post("lease", wanted)).content, type=_Lease)
        self._lease, self._held_until_s = answer.lease, asked_s + self._lease_s
        self._waiting.extend(map(_event, answer.deliveries))

    async def _make(self) -> None:
        there = await self._client.request("GET", self._path)
        if there.status_code == 404 or self._is_filtered:
            _checked(await self._client.request("PUT", self._path, self._wanted))
        else:
            _checked(there)
        self._is_made = True

    async def _post(self, what: str, body: Mapping[str, Any]) -> httpx2.Response:
        return _checked(await self._client.request("POST", f"{self._path}/{what}", body))


def _event(handed: _Handed) -> Event:
    told = handed.event
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
        n_attempts=handed.n_attempts,
        attributes=told,
    )


def _checked(response: httpx2.Response) -> httpx2.Response:
    if response.is_success:
        return response
    raise ServiceError(_told(response))


def _told(response: httpx2.Response) -> str:
    """What a problem says, in words."""
    try:
        detail = msgspec.json.decode(response.content, type=dict[str, Any])["detail"]
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
        detail = response.text[:200]
    return f"{response.status_code}: {detail}"


def _now_s() -> float:
    """The event loop's clock."""
    return asyncio.get_running_loop().time()
