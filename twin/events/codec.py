"""msgpack in the log, CloudEvents JSON outside; type names are strings in one table.

In JSON, every field that ends in ``_at`` is RFC 3339 with microseconds, bytes are base64, and positions travel as strings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, cast, get_args

import msgspec

from twin.errors import CodecError, UnknownEventType
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, Recorded
from twin.events.facts import Fact
from twin.events.faults import told
from twin.events.ids import DeviceId, EventId, Micros, SiteId
from twin.events.observations import Observation
from twin.events.upcast import UPCASTERS, upcast

SUBJECT_FIELDS = ("session", "stall", "vehicle", "tracklet", "camera", "portal", "worker")
"""Fields that say what an event is about, the first that it has."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR, _LAST_YEAR = 1000, 8999
_TO_SECOND = len("1970-01-01T00:00:")
_SHORTEST = len("1970-01-01T00:00:00Z")
_TO_OFFSET = len("1970-01-01T00:00:00.000000")


def _table(union: Any) -> Mapping[str, type[msgspec.Struct]]:
    return MappingProxyType({str(kind.__struct_config__.tag): kind for kind in get_args(union)})


OBSERVATION_TYPES: Mapping[str, type[msgspec.Struct]] = _table(Observation)
FACT_TYPES: Mapping[str, type[msgspec.Struct]] = _table(Fact)

_packer = msgspec.msgpack.Encoder(order="deterministic")
_pack, _pack_into = _packer.encode, _packer.encode_into
_unpack_observation = msgspec.msgpack.Decoder(Observation).decode
_unpack_fact = msgspec.msgpack.Decoder(Fact).decode
_unpack_plain = msgspec.msgpack.Decoder().decode
_read_observation = msgspec.json.Decoder(Observation).decode
_read_fact = msgspec.json.Decoder(Fact).decode
_read_plain = msgspec.json.Decoder().decode


def type_name(payload: Observation | Fact) -> str:
    """The type's name in the log, such as ``vehicle.moved.v1``."""
    return _tag(type(payload))


def pack(payload: Observation | Fact) -> bytes:
    """A payload as msgpack; the same payload gives the same bytes."""
    return _pack(payload)


def taken_apart(payload: Observation | Fact, buffer: bytearray) -> tuple[str, str | None, bytes]:
    """``type_name``, ``subject_of`` and ``pack`` of a payload in one call, through a buffer that need not grow each time."""
    subject, (name, fields) = None, _about(type(payload))
    for field in fields:
        if (subject := getattr(payload, field)) is not None:
            break
    _pack_into(payload, buffer)
    return name, subject, bytes(buffer)


def unpack_observation(name: str, packed: bytes) -> Observation:
    """Decode a payload of the observation log, through upcasters where its type is retired.

    Raises:
        UnknownEventType: no such type, current or retired.
        CodecError: the bytes are not a payload of that type.
    """
    if name in OBSERVATION_TYPES:
        return _decoded(name, packed, _unpack_observation)
    return _convert(name, _decoded(name, packed, _unpack_plain), OBSERVATION_TYPES)


def unpack_fact(name: str, packed: bytes) -> Fact:
    """Decode a payload of the fact log; raises as ``unpack_observation`` does."""
    if name in FACT_TYPES:
        return _decoded(name, packed, _unpack_fact)
    return _convert(name, _decoded(name, packed, _unpack_plain), FACT_TYPES)


def observation_in(name: str, text: bytes) -> Observation:
    """As ``unpack_observation``, of the same payload as JSON."""
    if name in OBSERVATION_TYPES:
        return _decoded(name, text, _read_observation)
    return _convert(name, _decoded(name, text, _read_plain), OBSERVATION_TYPES)


def fact_in(name: str, text: bytes) -> Fact:
    """As ``unpack_fact``, of the same payload as JSON."""
    if name in FACT_TYPES:
        return _decoded(name, text, _read_fact)
    return _convert(name, _decoded(name, text, _read_plain), FACT_TYPES)


def to_cloudevent(event: ObservationEvent | FactEvent | Recorded[Any]) -> dict[str, Any]:
    """An event as a CloudEvents 1.0 mapping, ready for JSON."""
    if isinstance(event, Recorded):
        recorded = {"position": str(event.position), "recordedtime": rfc3339(event.recorded_at)}
        return {**to_cloudevent(event.event), **recorded}
    name = type_name(event.payload)
    body = _times_to_text(msgspec.to_builtins(event.payload))
    del body["type"]
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "type": name,
        "source": _source(event),
        "time": rfc3339(event.occurred_at),
        "datacontenttype": "application/json",
        "site": event.site,
    }
    subject = subject_of(event.payload)
    if subject is not None:
        attributes["subject"] = subject
    return {**attributes, **_extensions(event), "data": body}


def to_json(event: ObservationEvent | FactEvent | Recorded[Any]) -> bytes:
    """One CloudEvents JSON object with sorted keys, without a line end."""
    return canonical_json(to_cloudevent(event))


def from_cloudevent(attributes: Mapping[str, Any]) -> ObservationEvent | FactEvent:
    """Read a CloudEvents mapping back; ``position`` and ``recordedtime`` are ignored.

    Raises:
        UnknownEventType: no such type, current or retired.
        CodecError: an attribute is missing or has a wrong value; the message names it.
    """
    try:
        name, site, occurred_at = str(attributes["type"]), SiteId(attributes["site"]), time_of("time", attributes["time"])
        body = _text_to_times(_object(attributes["data"]))
        if name in FACT_TYPES:
            return FactEvent(
                site=site,
                fold_version=str(attributes["foldversion"]),
                cause=int(attributes["causeposition"]),
                ordinal=int(attributes["ordinal"]),
                occurred_at=occurred_at,
                payload=_convert(name, body, FACT_TYPES),
                supersedes=tuple(EventId(one) for one in attributes.get("supersedes", "").split(",") if one),
            )
        _check_known(name)  # a fact of a newer service has none of the attributes that follow
        key = DeviceKey(
            device=DeviceId(attributes["device"]),
            boot_epoch=int(attributes["bootepoch"]),
            sequence=int(attributes["sequence"]),
        )
    except KeyError as missing:
        raise CodecError(f"the event has no attribute {missing}; add it (see ops/docs/events.md)") from None
    except (ValueError, TypeError, AttributeError) as wrong:
        raise CodecError(f"an attribute has a wrong value: {wrong}; see ops/docs/events.md") from None
    payload = _convert(name, body, OBSERVATION_TYPES)
    return ObservationEvent(site=site, key=key, occurred_at=occurred_at, payload=payload)


def from_json(line: bytes | str) -> ObservationEvent | FactEvent:
    """Read one CloudEvents JSON object; raises as ``from_cloudevent`` does."""
    try:
        attributes = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise CodecError(f"not a JSON object: {wrong}; give one CloudEvents JSON object") from None
    return from_cloudevent(attributes)


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no white space: the same value gives the same bytes."""
    return msgspec.json.encode(value, order="deterministic")


def rfc3339(at: Micros) -> str:
    """Microseconds since the epoch as RFC 3339, always six decimals and Z.

    >>> rfc3339(1_767_225_600_000_001)
    '2026-01-01T00:00:00.000001Z'
    """
    seconds, rest = divmod(at, 1_000_000)
    minutes, second = divmod(seconds, 60)
    return f"{_minute(minutes)}{second:02d}.{rest:06d}Z"


@lru_cache(maxsize=4_096)  # a state names some thousand times, most of the last hours
def _minute(minutes: int) -> str:
    """A minute since the epoch, up to where its seconds come."""
    return (_EPOCH + timedelta(minutes=minutes)).isoformat(timespec="seconds")[:_TO_SECOND]


def micros(text: str) -> Micros:
    """RFC 3339 to microseconds since the epoch; raises ValueError, also without a UTC offset, and before 1000 or after 8999.

    Nearer to the ends of the calendar a time, or one that follows from it, could not be written down again.

    >>> micros("2026-01-01T01:00:00+01:00")
    1767225600000000
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"time '{text[:60]}' is not RFC 3339") from None
    if moment.tzinfo is None:
        raise ValueError(f"time '{text}' has no UTC offset; end it with Z or +hh:mm")
    if len(text) < _SHORTEST or (text[4], text[7], text[13], text[16]) != ("-", "-", ":", ":"):
        raise ValueError(f"time '{text[:60]}' is ISO 8601 in another form than RFC 3339; write 2026-01-01T09:00:00Z")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"time '{text}' is of no year from {_FIRST_YEAR} to {_LAST_YEAR}; was another one meant?")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def time_of(name: str, text: Any) -> Micros:
    """``micros`` of a field; raises ValueError, which names it, also where it is no text."""
    if not isinstance(text, str):
        raise ValueError(f"'{name}': {str(text)[:60]!r} is no text; give a time such as \"2026-01-01T09:00:00Z\"")
    try:
        return micros(text)
    except ValueError as wrong:
        raise ValueError(f"'{name}': {wrong}; give a time such as 2026-01-01T09:00:00Z") from None


def _source(event: ObservationEvent | FactEvent) -> str:
    if isinstance(event, FactEvent):
        return f"/sites/{event.site}/twin"
    return f"/sites/{event.site}/devices/{event.key.device}"


def subject_of(payload: Observation | Fact) -> str | None:
    """What the event is about: CloudEvents' ``subject``, and what histories are read by."""
    for name in subject_fields(type(payload)):
        if (subject := getattr(payload, name)) is not None:
            return subject
    return None


@cache
def _tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


@cache
def _about(kind: type[msgspec.Struct]) -> tuple[str, tuple[str, ...]]:
    return _tag(kind), subject_fields(kind)


@cache
def subject_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Those of ``SUBJECT_FIELDS`` that a payload's type has."""
    return tuple(name for name in SUBJECT_FIELDS if name in kind.__struct_fields__)


def _extensions(event: ObservationEvent | FactEvent) -> dict[str, str]:
    if isinstance(event, ObservationEvent):
        key = event.key
        return {"device": key.device, "bootepoch": str(key.boot_epoch), "sequence": str(key.sequence)}
    cause = {"foldversion": event.fold_version, "causeposition": str(event.cause), "ordinal": str(event.ordinal)}
    return cause | ({"supersedes": ",".join(event.supersedes)} if event.supersedes else {})


def _decoded(name: str, packed: bytes, decode: Any) -> Any:
    try:
        return decode(packed)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as wrong:
        raise CodecError(f"a payload of type '{name}' cannot be read: {wrong}; the log may be damaged") from None


def _convert(name: str, body: Mapping[str, Any], table: Mapping[str, Any]) -> Any:
    try:
        current, upcasted = upcast(name, body)
    except (KeyError, TypeError, ValueError) as wrong:
        raise CodecError(f"a payload of retired type '{name}' cannot be read: {wrong!r}") from None
    if current not in table:
        raise _unknown(name)
    try:
        _refuse_unknown(current, upcasted, table[current])
        return msgspec.convert({**upcasted, "type": current}, table[current])  # by the union it takes forty times as long
    except msgspec.ValidationError as wrong:
        raise CodecError(f"data of type '{name}': {told(wrong, table[current])}") from None


def _check_known(name: str) -> None:
    if not (name in OBSERVATION_TYPES or name in FACT_TYPES or name in UPCASTERS):
        raise _unknown(name)


def _unknown(name: str) -> UnknownEventType:
    known = ", ".join(sorted({*OBSERVATION_TYPES, *FACT_TYPES, *UPCASTERS}))
    return UnknownEventType(f"event type '{name}' is not known here; known types are {known}")


def _refuse_unknown(name: str, body: Mapping[str, Any], kind: Any) -> None:
    unknown = set(body) - set(kind.__struct_fields__) - {"type"}
    if unknown:
        raise CodecError(
            f"data of type '{name}' has unknown keys {sorted(unknown)}; known are {sorted(kind.__struct_fields__)}"
        )


def _object(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise TypeError(f"data is {type(body).__name__}, not an object")
    return cast("dict[str, Any]", body)


def _times_to_text(value: Any) -> Any:
    return _map_times(value, int, lambda _, at: rfc3339(at))


def _text_to_times(value: Any) -> Any:
    return _map_times(value, (str, int), time_of)


def _map_times(value: Any, kind: type | tuple[type, ...], convert: Callable[[str, Any], Any]) -> Any:
    """Convert every value of ``kind`` under a key that ends in ``_at``, however deep; ``convert`` is given the key too."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {
            key: convert(key, item) if key.endswith("_at") and isinstance(item, kind) else _map_times(item, kind, convert)
            for key, item in items
        }
    if isinstance(value, list | tuple):
        return [_map_times(item, kind, convert) for item in cast("list[Any]", value)]
    return value
