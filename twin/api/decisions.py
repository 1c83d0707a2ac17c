"""People's decisions, in a friendlier form than the observation that each becomes."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from twin.api.endpoint import Endpoint
from twin.api.exchange import body_of, json, services_of, site_of
from twin.api.ingest import told
from twin.api.schemas import ReceiptView
from twin.errors import BadInput
from twin.events.codec import micros
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import DeviceId, SessionId, VehicleId
from twin.events.observations import Decision, OperatorDecided

DESK = DeviceId("operators")

_Words = Annotated[str, Meta(min_length=1, max_length=1_000)]
_BODY_BYTES = 16_384


class DecisionGiven(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision; ``id`` is the sender's own, and sent again with the same content it is the same decision.

    Attributes:
        at: when it was decided, RFC 3339.
        exit_at: of ``close``: when the stay ended; absent: at ``at``.
    """

    id: _Words
    decision: Decision
    author: _Words
    reason: _Words
    at: str
    session: SessionId | None = None
    vehicle: VehicleId | None = None
    other: VehicleId | None = None
    exit_at: str | None = None


async def post_decision(request: Request) -> Response:
    """Append it to the observation log; facts tell what came of it, or why it was refused."""
    services, site = services_of(request), site_of(request)
    body = await body_of(request, most_bytes=_BODY_BYTES)
    try:
        given = msgspec.json.decode(body, type=DecisionGiven)
        at, exit_at = micros(given.at), None if given.exit_at is None else micros(given.exit_at)
    except (msgspec.DecodeError, ValueError) as wrong:
        raise BadInput(f"the decision cannot be read: {wrong}; see ops/docs/billing.md") from None
    needed = ("vehicle", "other") if given.decision in ("merge", "split") else ("session",)
    if missing := [name for name in needed if not getattr(given, name)]:
        raise BadInput(f"'{given.decision}' needs {' and '.join(missing)}; add what it is about")
    payload = OperatorDecided(
        decision=given.decision,
        author=given.author,
        reason=given.reason,
        session=given.session,
        vehicle=given.vehicle,
        other=given.other,
        exit_at=exit_at,
    )
    epoch = int.from_bytes(blake2b(given.id.encode(), digest_size=7).digest(), "big")
    key = DeviceKey(device=DESK, boot_epoch=epoch, sequence=1)
    event = ObservationEvent(site=site.name, key=key, occurred_at=at, payload=payload)
    (receipt,) = await services.log.append([event])
    services.metrics.ingested(site.name, [receipt])
    return json(told(receipt))


ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/decisions",
        method="POST",
        handler=post_decision,
        about="Merge, split, close, reopen or waive: a person's decision, which holds whatever is observed later.",
        answer=ReceiptView,
        takes={"application/json": {"type": "object", "required": ["id", "decision", "author", "reason", "at"]}},
        refusals=(404, 413, 422, 503),
    ),
)
