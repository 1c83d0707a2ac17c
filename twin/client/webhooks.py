"""Webhooks as whoever runs a receiver keeps them. Most take scope ``admin``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

import msgspec

from twin.client.connection import Connection
from twin.client.reads import named, query_of
from twin.projections.webhook_answers import (
    AttemptList,
    AttemptView,
    SecretView,
    WebhookList,
    WebhookMade,
    WebhookView,
)

T = TypeVar("T")


class WebhookCalls:
    """A site's webhooks; each raises ServiceError where the service refuses, or knows none of the name."""

    _connection: Connection

    async def webhooks(self) -> WebhookList:
        """All of them, and how far each is."""
        return await self._connection.read(WebhookList, "webhooks")

    async def webhook(self, name: str) -> WebhookView:
        """One, and what it has parked."""
        return await self._connection.read(WebhookView, f"webhooks/{named(name)}")

    async def put_webhook(
        self,
        name: str,
        url: str,
        *,
        types: Iterable[str] = (),
        zones: Iterable[str] = (),
        subjects: Iterable[str] = (),
        after: int | None = None,
    ) -> WebhookMade:
        """Make one, whose ``secret`` is told this once, or change its address and filter; ``after`` as of ``subscribe``."""
        wanted = {"url": url, "types": list(types), "zones": list(zones), "subjects": list(subjects)}
        body = wanted if after is None else {**wanted, "after": str(after)}
        answer = await self._connection.answer("PUT", f"webhooks/{named(name)}", body=body)
        return msgspec.json.decode(answer.content, type=WebhookMade)

    async def delete_webhook(self, name: str) -> None:
        """Forget it, its secrets and what it had not delivered."""
        await self._connection.answer("DELETE", f"webhooks/{named(name)}")

    async def pause_webhook(self, name: str) -> WebhookView:
        """Send nothing for now."""
        return await self._asked(WebhookView, name, "pause")

    async def resume_webhook(self, name: str) -> WebhookView:
        """Send again, at once also what waits after a failure."""
        return await self._asked(WebhookView, name, "resume")

    async def rotate_webhook_secret(self, name: str, *, overlap_s: float | None = None) -> str:
        """A new secret, told this once. Those before sign beside it for ``overlap_s`` (None: a day); 0 ends them now."""
        body = {} if overlap_s is None else {"overlap_s": overlap_s}
        return (await self._asked(SecretView, name, "secret", body)).secret

    async def test_webhook(self, name: str) -> AttemptView:
        """Send a signed test now; what the endpoint answered."""
        return await self._asked(AttemptView, name, "test")

    async def webhook_deliveries(self, name: str, *, limit: int | None = None) -> AttemptList:
        """Its last requests, the newest first."""
        return await self._connection.read(AttemptList, f"webhooks/{named(name)}/deliveries", query_of({"limit": limit}))

    async def replay_webhook(
        self,
        name: str,
        *,
        after: int | None = None,
        until: int | None = None,
        from_at: str | datetime | None = None,
        until_at: str | datetime | None = None,
    ) -> None:
        """Send positions (``after``, ``until``] again, or what was recorded from one time to another."""
        body = query_of({"after": after, "until": until, "from_at": from_at, "until_at": until_at})
        await self._connection.answer("POST", f"webhooks/{named(name)}/replay", body=body)

    async def retry_parked(self, name: str, position: int) -> None:
        """Send a parked fact again."""
        await self._connection.answer("POST", f"webhooks/{named(name)}/parked/{position}/retry")

    async def discard_parked(self, name: str, position: int) -> None:
        """Give a parked fact up; what waits behind it is sent."""
        await self._connection.answer("DELETE", f"webhooks/{named(name)}/parked/{position}")

    async def _asked(self, kind: type[T], name: str, what: str, body: dict[str, float] | None = None) -> T:
        answer = await self._connection.answer("POST", f"webhooks/{named(name)}/{what}", body=body)
        return msgspec.json.decode(answer.content, type=kind)
