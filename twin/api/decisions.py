"""People's decisions, in a friendlier form than the observation that each becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from twin.api.bodies import Time, read_json
from twin.api.endpoint import MOMENT, Endpoint, Parameter
from twin.api.exchange import body_of, check_name, json, moment_of, services_of, site_of
from twin.api.guard import asked_for, counted_as, note
from twin.api.ingest import told_once
from twin.api.schemas import ReceiptView
from twin.errors import BadInput, Contradiction
from twin.events.codec import micros
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import DeviceId, SessionId, VehicleId
from twin.events.observations import Decision, OperatorDecided, Personal, PlateRead
from twin.events.wire import LETTERS, PLATE
from twin.projections.plates import normal, plate_of, stays_with
from twin.projections.site_answers import PlateFound, PlateView

DESK = DeviceId("operators")

_Words = Annotated[str, Meta(min_length=1, max_length=1_000)]
_BODY_BYTES = 16_384
LONGEST_PLATE = 20
_ODD = re.compile(f"[^{LETTERS} .·-]")  # in a plate
_NEEDED: Mapping[Decision, tuple[str, ...]] = {
    "merge": ("vehicle", "other"),
    "split": ("vehicle", "other"),
    "set_plate": ("session", "plate"),
}


_ID = {"type": "string", "minLength": 1}
_NONE = {"type": "null"}
_RULES = {
    "oneOf": [
        {
            "properties": {"decision": {"enum": ["merge", "split"]}, "vehicle": _ID, "other": _ID, "plate": _NONE},
            "required": ["vehicle", "other"],
        },
        {
            "properties": {"decision": {"enum": ["close", "reopen", "waive"]}, "session": _ID, "plate": _NONE},
            "required": ["session"],
        },
        {
            "properties": {"decision": {"const": "set_plate"}, "session": _ID, "plate": PLATE},
            "required": ["session", "plate"],
        },
    ]
}


class DecisionGiven(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision; ``id`` is the sender's own, and sent again with the same content it is the same decision.

    Attributes:
        plate: of ``set_plate``: the number plate; it is stored sealed.
        at: when it was decided.
        exit_at: of ``close``: when the stay ended; absent: at ``at``.
    """

    id: _Words
    decision: Decision
    author: _Words
    reason: _Words
    at: Time
    session: SessionId | None = None
    vehicle: VehicleId | None = None
    other: VehicleId | None = None
    exit_at: Time | None = None
    plate: Annotated[str, Meta(max_length=20)] | None = None


async def post_decision(request: Request) -> Response:
    """Append it to the observation log; facts tell what came of it, or why it was refused."""
    services, site = services_of(request), site_of(request)
    body = await body_of(request, most_bytes=_BODY_BYTES)
    given = read_json(body, DecisionGiven, what="the decision", see="ops/docs/billing.md")
    at, exit_at = micros(given.at), None if given.exit_at is None else micros(given.exit_at)
    needed = _NEEDED.get(given.decision, ("session",))
    if missing := [name for name in needed if not getattr(given, name)]:
        raise BadInput(f"'{given.decision}' needs {' and '.join(missing)}; add what it is about")
    if given.plate is not None and (given.decision != "set_plate" or not normal(given.plate)):
        raise BadInput("'plate' is of 'set_plate' alone, and has letters or digits; leave it out, or write the plate")
    if given.plate is not None and (odd := sorted(set(_ODD.findall(given.plate)))):
        raise BadInput(f"'plate' has {odd}; write letters, digits, spaces, dots and hyphens alone")
    if exit_at is not None and exit_at > at:
        raise Contradiction(f"'exit_at' {given.exit_at} is after 'at' {given.at}; a stay has ended when a person closes it")
    if given.decision == "merge" and given.vehicle == given.other:
        raise Contradiction(f"'vehicle' and 'other' are both '{given.vehicle}'; name the two that are one")
    for what, name in (("session", given.session), ("vehicle", given.vehicle), ("vehicle", given.other)):
        if name is not None:
            check_name(what, name)
    payload = OperatorDecided(
        decision=given.decision,
        author=given.author,
        reason=given.reason,
        session=given.session,
        vehicle=given.vehicle,
        other=given.other,
        exit_at=exit_at,
        personal=None if given.plate is None else Personal(plate=PlateRead(text=given.plate, score=1.0)),
    )
    epoch = int.from_bytes(blake2b(given.id.encode(), digest_size=7).digest(), "big")
    key = DeviceKey(device=DESK, boot_epoch=epoch, sequence=1)
    event = ObservationEvent(site=site.name, key=key, occurred_at=at, payload=payload)
    about = given.session or given.vehicle or "?"
    await note(request, "decision", f"{given.decision} of {about}, decision {given.id}")  # before it has an effect
    (receipt,) = await services.log.append([event])
    services.metrics.ingested(site.name, [receipt])
    return json(told_once(receipt, f"decision '{given.id[:80]}'"))


async def read_plate(request: Request) -> Response:
    """The plate that a person set."""
    services, site, moment = services_of(request), site_of(request), await moment_of(request)
    session = SessionId(request.path_params["session"])
    # Personal data that can be erased: a cache would keep what the log no longer gives.
    answer = json(msgspec.to_builtins(await plate_of(services.log, services.keys, site.name, session, moment)))
    answer.headers["cache-control"] = "no-store"
    return answer


async def find_plate(request: Request) -> Response:
    """Whose plate it is."""
    services, site, moment = services_of(request), site_of(request), await moment_of(request)
    plate = request.query_params["plate"]
    if not normal(plate) or len(plate) > LONGEST_PLATE or _ODD.search(plate):
        raise BadInput(f"plate='{plate[:LONGEST_PLATE]}' is no number plate; write letters, digits, spaces, dots and hyphens")
    counted_as(request, "searches")
    await note(request, "plate", asked_for(request))  # before it is looked up, so that a look that fails is recorded
    found = await stays_with(services.log, services.keys, site.name, plate, moment)
    answer = json(msgspec.to_builtins(PlateFound(site=site.name, position=str(moment.known_at), sessions=found)))
    answer.headers["cache-control"] = "no-store"  # as of ``read_plate``
    return answer


ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/decisions",
        method="POST",
        handler=post_decision,
        scope="operate",
        about="Merge, split, close, reopen, waive or set_plate: a person's decision, which holds whatever is observed later.",
        answer=ReceiptView,
        body=DecisionGiven,
        body_rules=_RULES,
        body_example={
            "id": "desk-1042",
            "decision": "close",
            "author": "amira",
            "reason": "left behind a van, seen by the attendant",
            "at": "2026-01-01T12:40:00Z",
            "session": "s-5b0c1d2e",
            "exit_at": "2026-01-01T12:38:00Z",
        },
        answer_example={"outcome": "stored", "position": "57"},
        refusals=(404, 409, 413, 422, 503),
    ),
    Endpoint(
        path="/v1/sites/{site}/sessions/{session}/plate",
        handler=read_plate,
        scope="operate",
        about="The number plate that a person set for a stay: personal data, gone when its key is destroyed.",
        answer=PlateView,
        parameters=MOMENT,
        refusals=(404, 410, 422, 503),
        audit="plate",
    ),
    Endpoint(
        path="/v1/sites/{site}/plates",
        handler=find_plate,
        scope="operate",
        about="Stays that are open, or not paid yet, with a number plate that a person set; none: the list is empty.",
        answer=PlateFound,
        parameters=(
            Parameter(name="plate", about="The plate, however it is set apart.", schema=PLATE, is_required=True),
            *MOMENT,
        ),
        refusals=(404, 422, 503),
    ),
)
