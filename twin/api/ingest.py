"""Observations from outside: CloudEvents, as lines or as an array, all of one site, stored all or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from site_models.schema import Site
from twin.api.bodies import whole
from twin.api.endpoint import Endpoint
from twin.api.exchange import body_of, json, services_of, site_of
from twin.api.guard import grant_of, note
from twin.api.outside import check_given_name, check_observation
from twin.api.schemas import Receipts
from twin.errors import BadInput, CodecError, ContentConflict, Forbidden, TooLarge
from twin.events.codec import from_cloudevent, subject_fields
from twin.events.envelope import FactEvent, ObservationEvent
from twin.events.observations import (
    CameraCalibrated,
    ClockTicked,
    OperatorDecided,
    PlateRead,
    RefuseRequested,
    SiteEdited,
    TrackletEmbedded,
)
from twin.log.port import Outcome, Receipt

NAME_LENGTH = 200
_JSON = "application/json"
_MOST_PLATE = 32  # characters
_REFUSED = "other content is stored under this device key, and stays; give what is another event a sequence of its own"
_EXPIRED = "not after what retention cut of this device: it was stored long ago, or came far too late"
LARGEST = 2**63 - 1


async def post_observations(request: Request) -> Response:
    """Append observations; the answer has one receipt each, also for a resend."""
    services, site = services_of(request), site_of(request)
    body = await body_of(request, most_bytes=services.limits.ingest_bytes)
    events = read_events(body, site, most=services.limits.ingest_events, reserved=services.reserved_devices)
    await _check_decisions(request, events)
    receipts = await services.log.append(events)
    services.metrics.ingested(site.name, receipts)
    return json({"receipts": [told(receipt) for receipt in receipts]})


async def _check_decisions(request: Request, events: Sequence[ObservationEvent]) -> None:
    """What a person decides is that by whichever way it comes: it takes the scope of decisions, and is recorded as one."""
    grant = grant_of(request)
    for event in events:
        if isinstance(event.payload, CameraCalibrated | SiteEdited) and not grant.allows("admin", event.site):
            raise Forbidden(f"key '{grant.key}' may not calibrate or edit a site; it takes scope 'admin' for this site")
        if isinstance(decided := event.payload, OperatorDecided):
            if not grant.allows("operate", event.site):
                raise Forbidden(f"key '{grant.key}' may not decide as a person does; it takes scope 'operate' for this site")
            about = decided.session or decided.vehicle or "?"
            key = f"{event.key.device}/{event.key.boot_epoch}/{event.key.sequence}"
            await note(request, "decision", f"{decided.decision} of {about}, observation {key}")


def told(receipt: Receipt) -> dict[str, str]:
    """A receipt as ``ReceiptView`` describes it."""
    outcome = {"outcome": receipt.outcome.value}
    if receipt.outcome == Outcome.EXPIRED:
        return outcome | {"reason": _EXPIRED}
    if receipt.outcome == Outcome.ACCEPTED:
        return outcome
    reason = {"reason": _REFUSED} if receipt.outcome == Outcome.REFUSED else {}
    return outcome | {"position": str(receipt.position)} | reason


def told_once(receipt: Receipt, what: str) -> dict[str, str]:
    """``told`` of something that its sender names; raises ContentConflict where the name is that of something else."""
    if receipt.outcome == Outcome.REFUSED:
        raise ContentConflict(
            f"{what} was sent before with other content, at position {receipt.position}, which stays; nothing was stored. "
            "Give what is another one an id of its own"
        )
    return told(receipt)


def read_events(body: bytes, site: Site, *, most: int, reserved: frozenset[str]) -> list[ObservationEvent]:
    """The observations in a body, in order.

    Raises:
        CodecError: an entry cannot be read; the message names it, counting from 1.
        BadInput: an entry may not come from outside, or is of another site; the message names it.
        TooLarge: more than ``most`` entries.
    """
    events: list[ObservationEvent] = []
    for where, entry in _entries(body):
        if len(events) == most:
            raise TooLarge(f"the body has more than {most} events, the limit: send them in several requests")
        try:
            events.append(_observation(entry, site, reserved))
        except BadInput as wrong:
            raise type(wrong)(f"{where}: {wrong}") from None
    return events


def _entries(body: bytes) -> Iterator[tuple[str, Any]]:
    if body.lstrip()[:1] == b"[":
        for number, entry in enumerate(_decoded(body, "the body"), 1):
            yield f"event {number}", entry
        return
    for number, line in enumerate(body.split(b"\n"), 1):
        if line.strip():
            yield f"line {number}", _decoded(line, f"line {number}")


def _decoded(text: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise CodecError(f"{where} is not JSON: {wrong}; give CloudEvents JSON, one a line or an array") from None


def _observation(entry: Any, site: Site, reserved: frozenset[str]) -> ObservationEvent:
    if not isinstance(entry, dict):
        raise CodecError(f"a CloudEvents JSON object was expected, but got {type(entry).__name__}")
    _check_envelope(entry)
    try:
        event = _read(entry)
    except RecursionError:
        raise CodecError("the event is nested too deeply; no event of this contract is") from None
    if isinstance(event, FactEvent):
        raise BadInput(f"'{entry['type']}' is a fact; facts are concluded here, only observations are taken from outside")
    if event.site != site.name:
        raise BadInput(f"the event is of site '{event.site}', but was sent to site '{site.name}'; send it to its own site")
    _check_key(event, reserved)
    for name in subject_fields(type(event.payload)):
        if (given := getattr(event.payload, name)) is not None:
            check_given_name(name, given)
    _check_payload(event)
    check_observation(event.payload, site)
    return event


def _check_envelope(entry: dict[str, Any]) -> None:
    """What CloudEvents has and the log does not keep may be left out, but not be something else."""
    of = entry.get
    if of("specversion", "1.0") != "1.0" or of("datacontenttype", _JSON) != _JSON:
        raise CodecError(
            f"'specversion' is {str(of('specversion'))[:40]!r}, 'datacontenttype' {str(of('datacontenttype'))[:40]!r};"
            f' give "1.0" and "{_JSON}", or leave them out'
        )
    for name, given in (("id", of("id", "-")), ("source", of("source", "-")), ("subject", of("subject", "-"))):
        if type(given) is not str or (not given and name != "subject"):
            raise CodecError(f"'{name}' is {str(given)[:40]!r}; give a text, or leave it out")
    _check_digits("bootepoch", of("bootepoch", "0"))
    _check_digits("sequence", of("sequence", "0"))


def _check_digits(name: str, given: Any) -> None:
    if type(given) is str and given.isascii() and given.isdigit():
        return
    if type(given) is not int and not (type(given) is float and given.is_integer()):
        raise CodecError(f"'{name}' is {str(given)[:40]!r}; give a whole number in digits, such as \"42\"")


def _read(entry: dict[str, Any]) -> ObservationEvent | FactEvent:
    """The event; where a whole number is written as 3.0, which few do, it is read again as 3."""
    try:
        return from_cloudevent(entry)
    except CodecError as wrong:
        if "Expected `int`, got `float`" not in str(wrong):
            raise
        return from_cloudevent(whole(entry))


def _check_key(event: ObservationEvent, reserved: frozenset[str]) -> None:
    key = event.key
    if not isinstance(key.device, str) or not 0 < len(key.device) <= NAME_LENGTH:
        raise BadInput(f"device={str(key.device)[:40]!r} is no name; give a text of 1 to {NAME_LENGTH} characters")
    check_given_name("device", key.device)
    if key.device in reserved:
        raise BadInput(f"device '{key.device}' is the twin's own; give this device another name")
    if not (0 <= key.boot_epoch <= LARGEST and 1 <= key.sequence <= LARGEST):
        raise BadInput(
            f"bootepoch={str(key.boot_epoch)[:24]}, sequence={str(key.sequence)[:24]} is out of range;"
            " give 64-bit numbers, boot epochs from 0 and sequences from 1"
        )


def _check_payload(event: ObservationEvent) -> None:
    if isinstance(event.payload, ClockTicked):
        raise BadInput("'clock.ticked.v1' is the fold's own clock; it is not taken from outside")
    if isinstance(event.payload, RefuseRequested):
        raise BadInput("'fold.refuse_requested.v1' is for who runs the site: `twin refuse`")
    if isinstance(event.payload, TrackletEmbedded) and (event.payload.sealed is not None or event.payload.personal is None):
        raise BadInput("'tracklet.embedded.v1' is sealed here, not outside; give 'personal' and leave 'sealed' out")
    if isinstance(event.payload, TrackletEmbedded) and event.payload.personal and event.payload.personal.plate:
        _check_read(event.payload.personal.plate)
    if isinstance(event.payload, OperatorDecided):
        _check_plate(event.payload)


def _check_read(plate: PlateRead) -> None:
    if len(plate.text) > _MOST_PLATE:
        raise BadInput(f"'plate' has {len(plate.text)} characters; no plate has more than {_MOST_PLATE}")
    if not 0.0 <= plate.score <= 1.0:
        raise BadInput(f"the 'score' of 'plate' is {plate.score}; give a number from 0 to 1")


def _check_plate(decided: OperatorDecided) -> None:
    if decided.sealed is not None:
        raise BadInput("'operator.decided.v1' is sealed here, not outside; give 'personal' and leave 'sealed' out")
    plate = None if decided.personal is None else decided.personal.plate
    if (decided.decision == "set_plate") != (plate is not None):
        raise BadInput("'personal' with a 'plate' is what 'set_plate' needs and no other decision has; add it, or leave it out")
    if plate is not None:
        _check_read(plate)


_EVENT = {"$ref": "#/components/schemas/SentObservation"}
_EVENTS = {"type": "array", "items": _EVENT}

ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/observations",
        method="POST",
        handler=post_observations,
        scope="ingest",
        about="Append observations, all or none; a resend of a device key gets the first position again.",
        answer=Receipts,
        takes={
            "application/cloudevents-batch+json": _EVENTS,
            "application/json": _EVENTS,
            "application/cloudevents+json": _EVENT,
            "application/x-ndjson": {"type": "string", "description": "One CloudEvents JSON object a line."},
        },
        may_lack_body=True,
        body_example={
            "specversion": "1.0",
            "id": "exit-42",
            "source": "/gates/exit",
            "type": "loop.tripped.v1",
            "time": "2026-01-01T12:40:00Z",
            "site": "demo_lot",
            "device": "barrier-exit",
            "bootepoch": "1",
            "sequence": "42",
            "data": {"portal": "exit", "loop": "exit-1"},
        },
        answer_example={"receipts": [{"outcome": "stored", "position": "1"}]},
        refusals=(404, 413, 422, 503),
    ),
)
