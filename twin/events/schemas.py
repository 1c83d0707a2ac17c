"""JSON Schema of every event as CloudEvents JSON, made from the types of the codec table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

import msgspec

from twin.events.codec import FACT_TYPES, OBSERVATION_TYPES, SUBJECT_FIELDS
from twin.events.docstrings import described
from twin.events.wire import LARGEST, LARGEST_PACKED, LEAST_PACKED, NAME, POSITION, TIME

_DIGITS = {
    "anyOf": [
        {"type": "string", "pattern": "^([0-9]{1,18}|[1-8][0-9]{18}|9[01][0-9]{17})$"},
        {"type": "integer", "minimum": 0, "maximum": LARGEST},
    ]
}
_SEQUENCE = {
    "anyOf": [
        {"type": "string", "pattern": "^([1-9][0-9]{0,17}|[1-8][0-9]{18}|9[01][0-9]{17})$"},
        {"type": "integer", "minimum": 1, "maximum": LARGEST},
    ]
}
_ID = {"type": "string", "minLength": 1}
_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

_ENVELOPE: Mapping[str, Any] = {
    "specversion": {"const": "1.0"},
    "id": _ID,
    "source": _ID,
    "time": TIME,
    "datacontenttype": {"const": "application/json"},
    "subject": {"type": "string"},
    "site": {"type": "string"},
}
_OBSERVATION_EXTENSIONS = {"device": NAME, "bootepoch": _DIGITS, "sequence": _SEQUENCE}
_FACT_EXTENSIONS = {
    "foldversion": {"type": "string"},
    "causeposition": POSITION,
    "ordinal": POSITION,
    "supersedes": {"type": "string", "description": "Ids of facts, separated by commas, that this one corrects."},
}
_INNER = ("anyOf", "items", "prefixItems", "oneOf")
_RECORDED = {"position": POSITION, "recordedtime": TIME}


@cache
def payload_schemas(ref_template: str = "#/components/schemas/{name}") -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The schema of ``data`` by event type, and the components that those refer to."""
    kinds = {**OBSERVATION_TYPES, **FACT_TYPES}
    told, components = msgspec.json.schema_components(kinds.values(), ref_template=ref_template)
    own = {one["$ref"].rsplit("/", 1)[1] for one in told}
    data = {name: _data(components[one["$ref"].rsplit("/", 1)[1]]) for name, one in zip(kinds, told, strict=True)}
    return data, {name: _as_sent(schema) for name, schema in components.items() if name not in own}


def observation_schema(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """An observation as it is sent; ``data`` is its payload's schema."""
    properties = {**_ENVELOPE, "type": {"const": name}, **_OBSERVATION_EXTENSIONS, "data": data}
    required = ["type", "time", "site", *_OBSERVATION_EXTENSIONS, "data"]
    return {"type": "object", "title": name, "properties": properties, "required": required}


def fact_schema(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A fact as it is told to others, with its position."""
    properties = {**_ENVELOPE, "type": {"const": name}, **_FACT_EXTENSIONS, **_RECORDED, "data": data}
    required = ["specversion", "id", "source", "type", "time", "site", "foldversion", "causeposition", "ordinal", "data"]
    return {"type": "object", "title": name, "properties": properties, "required": [*required, *_RECORDED]}


def recorded_observation_schema(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """An observation as a log gives it out, complete and with its position."""
    schema = observation_schema(name, data)
    return {**schema, "required": ["specversion", "id", "source", *schema["required"]]}


def _data(component: Mapping[str, Any]) -> dict[str, Any]:
    """A payload without its tag, which is the event's ``type``; what is not known in it is refused."""
    schema = _as_sent(component)
    properties = {name: _named(one, name) for name, one in schema["properties"].items() if name != "type"}
    required = [name for name in schema.get("required", []) if name != "type"]
    return {**schema, "properties": properties, "required": required, "additionalProperties": False}


def _named(schema: dict[str, Any], key: str) -> dict[str, Any]:
    """What an event may be about has a name that a log takes."""
    if key not in SUBJECT_FIELDS:
        return schema
    if "anyOf" in schema:
        return {**schema, "anyOf": [_named(one, key) for one in schema["anyOf"]]}
    return {**schema, **NAME} if schema.get("type") == "string" else schema


def _as_sent(schema: Any, key: str = "") -> Any:
    """Times are text outside; whole numbers are within what a log stores; names are what it takes for names."""
    if isinstance(schema, list):
        return [_as_sent(one, key) for one in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    known = cast("dict[str, Any]", schema)
    if known.get("type") == "integer":
        return _whole_number(known, is_time=key.endswith("_at"))
    if "contentEncoding" in known:
        return {**known, "pattern": _BASE64}
    if "properties" in known:
        known = described(known)
        return {**known, "properties": {name: _as_sent(one, name) for name, one in known["properties"].items()}}
    return {name: _as_sent(one, key) if name in _INNER else one for name, one in known.items()}


def _whole_number(schema: dict[str, Any], *, is_time: bool) -> dict[str, Any]:
    if not is_time:
        return {"minimum": LEAST_PACKED, "maximum": LARGEST_PACKED, **schema}
    return {**TIME, **({"description": schema["description"]} if "description" in schema else {})}
