"""Payloads as JSON text, which compresses better: a rounded number has a few digits there, and eight noisy bytes in msgpack.

What names of tracklets begin with in a frame (``north:1767571200:``) comes once, before the text. Control characters mark it:
JSON writes its own in other ways, so that they occur nowhere else. The bytes that are hashed are made again from the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from twin.events.codec import FACT_TYPES, OBSERVATION_TYPES
from twin.events.facts import Fact
from twin.events.observations import FrameObserved, Observation

_END, _HERE = b"\x01", b"\x02"
_U = ord("u")  # bytes are looked for in bytes at the cost of an exception, a number is not
_SHORTEST = 8
_DIGITS = "0123456789"
_TAG = b"\xa4type"  # every payload is a map whose first key this is

_from_packed = msgspec.msgpack.Decoder().decode
_to_packed = msgspec.msgpack.Encoder().encode
_from_text = msgspec.json.Decoder().decode
_texts = msgspec.json.Encoder()
_to_text, _to_lines = _texts.encode, _texts.encode_lines


def text_of(payload: bytes, told: Observation | Fact | None = None) -> bytes | None:
    """The text of a payload that ``twin.events.codec.pack`` gave; None where it would not give the same bytes again.

    Args:
        told: what was packed, where that is at hand: unpacking takes a third of the time.
    """
    if told is None:
        if (fields := _fields(payload)) is None:
            return None
        text, boxes, unchanged = _to_text(fields), fields.get("boxes"), fields.get("unchanged")
        return _shortened(text, boxes[0]["tracklet"] if boxes else unchanged[0] if unchanged else "", payload)
    if type(told) not in _KINDS:
        return None
    return _shortened(_to_text(told), _first_of(told) if isinstance(told, FrameObserved) else "", payload)


def texts_of(payloads: Sequence[bytes], told: Sequence[Observation | Fact] | None = None) -> list[bytes | None]:
    """``text_of`` each; where all of what was packed has one, they are made in one call, which takes a tenth less."""
    if told is None:
        return [text_of(one) for one in payloads]
    if not _KINDS.issuperset(map(type, told)):
        return list(map(text_of, payloads, told))
    lines = _to_lines(told).split(b"\n")  # JSON has none inside
    return [
        _shortened(text, _first_of(one) if isinstance(one, FrameObserved) else "", payload)
        for text, one, payload in zip(lines, told, payloads, strict=False)
    ]


def _shortened(text: bytes, tracklet: str, payload: bytes) -> bytes | None:
    """The text with what a frame's tracklets begin with once, as its first one tells; None where it is not the payload's."""
    beginning = _beginning(tracklet)
    if _U in text and text.find(b"null") >= 0 and _to_packed(_from_text(text)) != payload:
        return None  # a number that is none: JSON has no word for it
    return beginning + _END + text.replace(b'"' + beginning, _HERE) if beginning else text


def payload_of(text: bytes) -> bytes:
    """The reverse of ``text_of``; raises DecodeError, ValueError or OverflowError for what it never gave."""
    return _to_packed(_from_text(plain_of(text)))


def plain_of(text: bytes) -> bytes:
    """The JSON in what ``text_of`` gave: names whole again."""
    beginning, mark, rest = text.partition(_END)
    return rest.replace(_HERE, b'"' + beginning) if mark else text


def _fields(payload: bytes) -> dict[str, Any] | None:
    if payload[1:6] != _TAG or len(payload) < _SHORTEST or payload[7 : 7 + (payload[6] & 0x1F)] not in _TYPES:
        return None
    try:
        return _from_packed(payload)
    except msgspec.DecodeError:
        return None


def _first_of(frame: FrameObserved) -> str:
    return frame.boxes[0].tracklet if frame.boxes else frame.unchanged[0] if frame.unchanged else ""


@lru_cache(maxsize=1_024)  # a tracklet comes first in many frames
def _beginning(tracklet: str) -> bytes:
    """What comes before the number in the name of a frame's first tracklet."""
    beginning = tracklet.rstrip(_DIGITS).encode()
    return b"" if _END in beginning else beginning


def _is_plain(kind: msgspec.inspect.Type) -> bool:
    """Whether JSON has all that a type can hold."""
    match kind:
        case msgspec.inspect.StructType():
            return all(_is_plain(field.type) for field in kind.fields)
        case msgspec.inspect.TupleType():
            return all(map(_is_plain, kind.item_types))
        case msgspec.inspect.VarTupleType():
            return _is_plain(kind.item_type)
        case msgspec.inspect.UnionType():
            return all(map(_is_plain, kind.types))
        case _:
            return isinstance(kind, _PLAIN)


_PLAIN = (
    msgspec.inspect.StrType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.BoolType,
    msgspec.inspect.NoneType,
    msgspec.inspect.LiteralType,
)
_PLAIN_KINDS = {
    name.encode(): kind
    for name, kind in {**OBSERVATION_TYPES, **FACT_TYPES}.items()
    if _is_plain(msgspec.inspect.type_info(kind)) and len(name) < 32
}
"""Types that have no bytes in them, by name."""

_TYPES, _KINDS = frozenset(_PLAIN_KINDS), frozenset(_PLAIN_KINDS.values())
