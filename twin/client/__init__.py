"""A typed async client of one site: reads, writes, and durable subscriptions.

    async with Client("http://127.0.0.1:8600", site="demo_lot") as client:
        async for event in client.subscribe("billing", types=["session.closed.v1"]):
            await bill(event.fact.payload)

An event is acknowledged soon after the loop's body ends, and delivered again when it does not: at least once, and in order
within each session. ``twin.inbox`` makes its effect happen once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

import httpx2

from twin.backoff import Backoff
from twin.client.connection import Connection, ServiceError
from twin.client.places import Places
from twin.client.reads import CameraPicture, Known, Moment, Reads
from twin.client.subscription import Event, Subscription, Taking
from twin.client.webhooks import WebhookCalls
from twin.client.writes import Writes
from twin.client_key import key_shown

__all__ = ["CameraPicture", "Client", "Event", "Known", "Moment", "ServiceError", "Subscription", "Taking"]


class Client(Reads, Places, Writes, WebhookCalls):
    """One site of a service.

    Args:
        patience_s: for how long a service that is away is tried again. None: a minute, and by subscriptions for ever, which
            say so once a minute. One that answers 500 or 429 is asked again for a minute too, or for this long; then what it
            said is raised.
        headers: sent with every request.
        key: API key with the scopes of what is asked, ``read`` for subscriptions; None where access is open.
    """

    def __init__(
        self,
        url: str,
        *,
        site: str,
        http: httpx2.AsyncClient | None = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float | None = None,
        backoff: Backoff | None = None,
        key: str | None = None,
    ) -> None:
        headers = {**(headers or {}), **key_shown(key)}
        self._connection = Connection(url, site, http=http, headers=headers, patience_s=patience_s, backoff=backoff)
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
        made = Subscription(self._connection, name, wanted, taking, is_filtered=bool(given))
        self._subscriptions.append(made)
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._subscriptions:
            await one.aclose(error if isinstance(error, Exception) else None)
        await self._connection.aclose()
