"""What a stay costs now, and money for it, in a friendlier form than the observation that a payment becomes."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from twin.api.bodies import Time, read_json
from twin.api.endpoint import AT, KNOWN_AT, WAITING, Endpoint
from twin.api.exchange import body_of, check_name, json, moment_of, services_of, site_of, timeline_of
from twin.api.guard import counted_as, grant_of, note
from twin.api.ingest import told_once
from twin.api.outside import check_currency, check_observation
from twin.api.schemas import ReceiptView
from twin.api.services import Services
from twin.errors import BadInput, Conflict, Forbidden, NotFound
from twin.events.codec import micros
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.facts import PaymentBooked
from twin.events.ids import DeviceId, Micros, PaymentId, SessionId, SiteId
from twin.events.observations import PaymentReceived
from twin.events.wire import of_site
from twin.log.port import Log
from twin.projections.due import DueView, due_of
from twin.projections.moment import Moment
from twin.projections.net import net_facts
from twin.projections.plates import stays_with
from twin.projections.sessions import session_at
from twin.rules.tariff import DAY

TILL = DeviceId("payments")

_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_BODY_BYTES = 16_384
_RULES = {
    "oneOf": [
        {"properties": {"session": {"type": "string"}, "plate": {"type": "null"}}, "required": ["session"]},
        {"properties": {"plate": {"type": "string"}, "session": {"type": "null"}}, "required": ["plate"]},
    ]
}


class PaymentGiven(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money that was received; ``payment`` is the sender's own id, and sent again with the same content it is the same payment.

    Attributes:
        at: when it was received.
        session: what it is for.
        plate: instead: of the one stay that is open, or not paid, and has this plate. It is not kept.
        amount_minor: in minor units of ``currency``, ISO 4217.
    """

    payment: _Name
    at: Time
    session: _Name | None = None
    plate: Annotated[str, Meta(min_length=1, max_length=20)] | None = None
    amount_minor: Annotated[int, Meta(ge=1, le=10**12)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", extra_json_schema=of_site("currency"))]


async def post_payment(request: Request) -> Response:
    """Append it to the observation log; a fact tells whose account it is on."""
    services, site = services_of(request), site_of(request)
    body = await body_of(request, most_bytes=_BODY_BYTES)
    given = read_json(body, PaymentGiven, what="the payment", see="ops/docs/billing.md")
    at = micros(given.at)
    check_currency(given.currency, site)  # before a plate is looked up: what is refused tells nothing of who is here
    if given.plate is not None:
        await _may_look_up(request, site.name)
    payload = PaymentReceived(
        payment=PaymentId(given.payment),
        session=await _session_of(services, site.name, given, at),
        amount_minor=given.amount_minor,
        currency=given.currency,
    )
    check_observation(payload, site)
    epoch = int.from_bytes(blake2b(given.payment.encode(), digest_size=7).digest(), "big")
    key = DeviceKey(device=TILL, boot_epoch=epoch, sequence=1)
    (receipt,) = await services.log.append([ObservationEvent(site=site.name, key=key, occurred_at=at, payload=payload)])
    services.metrics.ingested(site.name, [receipt])
    return json(told_once(receipt, f"payment '{given.payment[:80]}'"))


async def _may_look_up(request: Request, site: SiteId) -> None:
    """The answer tells whether a vehicle is here, as a search by its plate does: it takes that scope, and counts as one."""
    grant = grant_of(request)
    if not grant.allows("search", site):
        raise Forbidden(
            f"key '{grant.key}' may not pay by plate, as the answer tells who is here; name the session, or use a key that has"
            " scope 'search' for this site as well"
        )
    counted_as(request, "searches")
    await note(request, "plate", "payment by plate")


async def _session_of(services: Services, site: SiteId, given: PaymentGiven, at: Micros) -> SessionId:
    """The session that a payment is for. Plates are looked up here, so that the log holds the session, and no plate."""
    if (given.session is None) == (given.plate is None):
        raise BadInput("a payment names what it is for: give either 'session' or 'plate'")
    if given.plate is None:
        assert given.session is not None
        check_name("session", given.session)
        return SessionId(given.session)
    moment = Moment(at=None, known_at=(await services.log.heads(site)).facts)
    if (known := await _booked(services.log, site, given.payment, at, moment)) is not None:
        return known
    found = await stays_with(services.log, services.keys, site, given.plate, moment)
    if not found:
        raise NotFound("no stay that is open or not paid has this plate; name the session, or return the money")
    if len(found) > 1:
        names = ", ".join(view.session for view in found)
        raise Conflict(f"{len(found)} stays have this plate: {names}; name the session that the money is for")
    return SessionId(found[0].session)


async def _booked(log: Log, site: SiteId, payment: str, at: Micros, moment: Moment) -> SessionId | None:
    """What a payment was for, if it came before: sent again it is for the same, whatever has become of the stay."""
    async for facts in net_facts(log, site, moment, after_at=at - DAY, types=("payment.booked.v1",)):
        for recorded in facts:
            fact = recorded.event.payload
            assert isinstance(fact, PaymentBooked)
            if fact.payment == payment:
                return fact.named or fact.session
    return None


async def read_due(request: Request) -> Response:
    """What is due for one stay."""
    site, moment, session = site_of(request), await moment_of(request), request.path_params["session"]
    if moment.at is None:
        raise BadInput("'at' is missing; say for which time what is due is wanted, as RFC 3339")
    check_name("session", session)
    view = await session_at(services_of(request).log, site.name, session, moment)
    if view is None:
        raise NotFound(f"site '{site.name}' has no session '{session[:80]}' at that moment; see the list of its sessions")
    return json(msgspec.to_builtins(due_of(view, timeline_of(request, moment.known_at).site, moment.at)))


ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/payments",
        method="POST",
        handler=post_payment,
        scope="ingest",
        about="Money for a stay: a fact says on whose account it is. By plate, it takes scope search too.",
        answer=ReceiptView,
        body=PaymentGiven,
        body_rules=_RULES,
        body_example={
            "payment": "till-7-20260101-0042",
            "at": "2026-01-01T12:50:00Z",
            "session": "s-5b0c1d2e",
            "amount_minor": 50,
            "currency": "EUR",
        },
        answer_example={"outcome": "stored", "position": "58"},
        refusals=(404, 409, 413, 422, 503),
    ),
    Endpoint(
        path="/v1/sites/{site}/sessions/{session}/due",
        handler=read_due,
        scope="read",
        about="What a stay costs if it ends at a time, what of that is paid, and until when it may leave.",
        answer=DueView,
        parameters=(replace(AT, is_required=True), KNOWN_AT, *WAITING),
        refusals=(404, 410, 422, 503),
    ),
)
