"""What people, tills, gates and sensors tell a site's twin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from twin.client.connection import Connection
from twin.events.codec import to_json
from twin.events.envelope import ObservationEvent
from twin.events.observations import Decision
from twin.projections.answers import Receipts, ReceiptView


class Writes:
    """Each may be sent again: the same key or id with the same content is the same observation. Raises ServiceError."""

    _connection: Connection

    async def observe(self, events: Iterable[ObservationEvent]) -> list[ReceiptView]:
        """Append observations, all or none; one receipt each."""
        lines = b"\n".join(to_json(event) for event in events)
        answer = await self._connection.answer("POST", "observations", content=lines, media_type="application/x-ndjson")
        return msgspec.json.decode(answer.content, type=Receipts).receipts

    async def pay(
        self,
        payment: str,
        *,
        at: str | datetime,
        amount_minor: int,
        currency: str,
        session: str | None = None,
        plate: str | None = None,
    ) -> ReceiptView:
        """Money for a stay, which is named, or has this plate; ``payment`` is the sender's own id."""
        what = {"payment": payment, "session": session, "plate": plate}
        return await self._given("payments", at=at, amount_minor=amount_minor, currency=currency, **what)

    async def decide(
        self,
        id: str,
        decision: Decision,
        *,
        author: str,
        reason: str,
        at: str | datetime,
        session: str | None = None,
        vehicle: str | None = None,
        other: str | None = None,
        exit_at: str | datetime | None = None,
        plate: str | None = None,
    ) -> ReceiptView:
        """A person's decision; ``id`` is the sender's own."""
        about = {"session": session, "vehicle": vehicle, "other": other, "exit_at": exit_at, "plate": plate}
        return await self._given("decisions", id=id, decision=decision, author=author, reason=reason, at=at, **about)

    async def _given(self, path: str, **body: Any) -> ReceiptView:
        sent = {name: one.isoformat() if isinstance(one, datetime) else one for name, one in body.items() if one is not None}
        answer = await self._connection.answer("POST", path, body=sent)
        return msgspec.json.decode(answer.content, type=ReceiptView)
