"""The names that a site's model has, put into the document of the service that serves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from site_models.schema import Portal, Site
from twin.api.outside import BOX, FRAME_PX
from twin.events.observations import GateDecider
from twin.events.schemas import observation_schema, payload_schemas
from twin.events.wire import OF_SITE

NOT_FROM_OUTSIDE = ("clock.ticked.v1", "fold.refuse_requested.v1")
_PLATE = {
    "type": "object",
    "properties": {"text": {"type": "string", "maxLength": 32}, "score": {"type": "number", "minimum": 0, "maximum": 1}},
    "required": ["text", "score"],
}


def filled(schema: Any, sites: Iterable[Site]) -> Any:
    """A document in which names of sites, zones, stalls, cameras, portals and currencies are listed where they are meant."""
    words = _words(tuple(sites))

    def fill(one: Any) -> Any:
        if isinstance(one, Mapping):
            known = words.get(one.get(OF_SITE, ""))
            rest = {name: fill(value) for name, value in one.items() if name != OF_SITE}
            return {**rest, "enum": known} if known else rest
        return [fill(each) for each in one] if isinstance(one, list | tuple) else one

    return fill(schema)


def sent_observation(sites: Iterable[Site]) -> dict[str, Any]:
    """Any observation that these sites take from outside, as CloudEvents JSON."""
    sites = tuple(sites)
    names = sorted(site.name for site in sites)
    data, _ = payload_schemas()
    variants: list[dict[str, Any]] = []
    for name, schema in data.items():
        for one in _as_taken(name, schema, sites):
            told = observation_schema(name, one)
            told["properties"]["site"] = {"type": "string", **({"enum": names} if names else {})}
            variants.append(told)
    return {"anyOf": variants}


def _as_taken(name: str, schema: Mapping[str, Any], sites: tuple[Site, ...]) -> list[dict[str, Any]]:
    """The payload as it may come from outside; several where one property decides about another."""
    words = _words(sites)
    match name:
        case "camera.calibrated.v1" | "loss.declared.v1" | "invoice.closed.v1":
            return [dict(schema)]
        case "frame.observed.v1":
            return [_frame(schema)]
        case "tracklet.embedded.v1":
            return [_with(_without(schema, "sealed"), personal=_personal(), require=("personal",))]
        case "operator.decided.v1":
            others = [one for one in schema["properties"]["decision"]["enum"] if one != "set_plate"]
            plate = {"type": "object", "properties": {"plate": _PLATE}, "required": ["plate"]}
            return [
                _with(_without(schema, "sealed", "personal"), decision={"enum": others}),
                _with(_without(schema, "sealed"), decision={"const": "set_plate"}, personal=plate, require=("personal",)),
            ]
        case "gate.state.v1":
            return _reports(_with(schema, portal=_one_of(words["portal"])))
        case "loop.tripped.v1":
            return _passages(schema, [portal for site in sites for portal in site.portals if portal.role == "boundary"])
        case "payment.received.v1":
            return [_with(schema, currency=_one_of(words["currency"]))]
        case "stall.classified.v1":
            return [_with(schema, stall=_one_of(words["stall"]))]
        case _:
            return []


def _frame(schema: Mapping[str, Any]) -> dict[str, Any]:
    _, components = payload_schemas()
    box = {**components["DetectedBox"], "properties": {**components["DetectedBox"]["properties"], **BOX}}
    boxes = {**schema["properties"]["boxes"], "items": box}
    unchanged = {**schema["properties"]["unchanged"], "items": BOX["tracklet"]}
    return _with(schema, frame_px=FRAME_PX, boxes=boxes, unchanged=unchanged)


def _reports(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of a barrier: as nobody says who decided, as a rule or a list did, or an attendant, who says who and why."""
    nothing = {"type": "null"}
    others = [one for one in get_args(GateDecider) if one != "attendant"]
    said = {
        "author": {"type": "string", "minLength": 1, "maxLength": 200},
        "reason": {"type": "string", "minLength": 1, "maxLength": 1_000},
    }
    return [
        _with(schema, by=nothing, author=nothing, reason=nothing, asked=nothing),
        _with(schema, by={"enum": others}, require=("by",)),
        _with(schema, by={"const": "attendant"}, **said, require=("by", "author", "reason")),
    ]


def _passages(schema: Mapping[str, Any], portals: list[Portal]) -> list[dict[str, Any]]:
    """One way: the direction may be left out; both: it is needed."""
    told: list[dict[str, Any]] = []
    for way in ("in", "out"):
        if names := sorted({one.id for one in portals if one.direction == way}):
            told.append(_with(schema, portal=_one_of(names), direction={"enum": [way, None]}))
    if names := sorted({one.id for one in portals if one.direction == "both"}):
        told.append(_with(schema, portal=_one_of(names), direction={"enum": ["in", "out"]}, require=("direction",)))
    return told or [dict(schema)]


def _with(schema: Mapping[str, Any], *, require: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {**schema, "properties": {**schema["properties"], **properties}, "required": [*schema["required"], *require]}


def _without(schema: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**schema, "properties": {name: one for name, one in schema["properties"].items() if name not in names}}


def _personal() -> dict[str, Any]:
    _, components = payload_schemas()
    return _with({"required": [], **components["Personal"]}, plate={"anyOf": [_PLATE, {"type": "null"}]})


def _one_of(names: Sequence[str]) -> dict[str, Any]:
    return {"type": "string", **({"enum": names} if names else {})}


def _words(sites: tuple[Site, ...]) -> dict[str, list[str]]:
    return {
        "site": sorted(site.name for site in sites),
        "zone": sorted({one.id for site in sites for one in site.zones}),
        "stall": sorted({one.id for site in sites for one in site.stalls}),
        "camera": sorted({one.id for site in sites for one in site.cameras}),
        "portal": sorted({one.id for site in sites for one in site.portals if one.role == "boundary"}),
        "currency": sorted({one.currency for site in sites for one in site.tariffs}),
    }
