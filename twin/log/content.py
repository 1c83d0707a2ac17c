"""An observation made ready for storing: packed, hashed, and checked against what a column can hold."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from twin.errors import BadInput
from twin.events.codec import taken_apart, type_name
from twin.events.envelope import FactEvent, ObservationEvent
from twin.events.facts import Fact
from twin.events.ids import Micros
from twin.events.observations import Observation

_LARGEST = 2**63 - 1
_LONGEST = 255
_FACT_ID = re.compile(r"[0-9a-f]{32}")

_USUAL = 2_048  # bytes of an observation, seldom more

_hasher = hashlib.blake2b(digest_size=16).copy  # making one anew takes twice as long
_framer = msgspec.msgpack.Encoder(order="deterministic")
_frame, _frame_into = _framer.encode, _framer.encode_into


class Content(Struct, frozen=True, kw_only=True, gc=False):
    """What is stored of an event's payload, and the hash that tells a resend from a forgery."""

    type: str
    subject: str | None
    payload: bytes
    hash: bytes


def content_of(event: ObservationEvent) -> Content:
    """Pack and hash an observation; sealed fields enter the hash as ciphertext.

    Raises:
        BadInput: a name or number does not fit a column of the log; the message names it.
    """
    return contents_of((event,))[0]


def contents_of(events: Iterable[ObservationEvent]) -> list[Content]:
    """``content_of`` each; raises as it does."""
    found: list[Content] = []
    packing, framed = bytearray(_USUAL), bytearray(_USUAL)
    for event in events:
        key, site, at = event.key, event.site, event.occurred_at
        device, boot_epoch, sequence = key.device, key.boot_epoch, key.sequence
        if not (0 <= boot_epoch <= _LARGEST and 0 <= sequence <= _LARGEST):
            _refuse_number(device, boot_epoch=boot_epoch, sequence=sequence)
        name, subject, payload = _packed(event.payload, at, packing)
        _check_names(site, device, subject)
        _frame_into((name, payload, at, site, device, boot_epoch, sequence), framed)
        digest = _hasher()
        digest.update(framed)
        found.append(Content(type=name, subject=subject, payload=payload, hash=digest.digest()))
    return found


def observation_hash(row: Mapping[str, Any]) -> bytes:
    """The hash of an observation in its columns, as ``content_of`` gives it."""
    names = ("type", "payload", "occurred_at", "site", "device", "boot_epoch", "sequence")
    return hashlib.blake2b(_frame([row[name] for name in names]), digest_size=16).digest()


def _refuse_number(device: str, **numbers: int) -> None:
    for name, number in numbers.items():
        if number < 0:
            raise BadInput(f"{name} of device '{device}' is {number}; it must not be negative")
        check_number(name, number)


def content_of_fact(event: FactEvent) -> Content:
    """Pack a fact; raises as ``content_of`` does. Its id names it, so its hash stays empty."""
    check_name("site", event.site)
    check_name("fold version", event.fold_version)
    check_number("cause", event.cause)
    if not 0 <= event.ordinal < 2**31:
        raise BadInput(f"ordinal is {event.ordinal}; it must be in 0..2^31-1")
    for superseded in event.supersedes:
        if not _FACT_ID.fullmatch(superseded):
            raise BadInput(f"a superseded id is {superseded[:40]!r}; it must be a fact's, 32 hexadecimal digits")
    name, subject, payload = _packed(event.payload, event.occurred_at, bytearray())
    if subject is not None:
        check_name("subject", subject)
    return Content(type=name, subject=subject, payload=payload, hash=b"")


def _packed(payload: Observation | Fact, occurred_at: Micros, buffer: bytearray) -> tuple[str, str | None, bytes]:
    """Type, subject and payload."""
    if not -_LARGEST <= occurred_at <= _LARGEST:
        check_number("occurred_at", occurred_at)
    try:
        return taken_apart(payload, buffer)
    except (UnicodeEncodeError, OverflowError) as wrong:
        raise BadInput(f"a payload of type '{type_name(payload)}' cannot be packed: {wrong}") from None


def check_number(what: str, number: int) -> None:
    """Raise BadInput for a number that no database's column can hold."""
    if not -_LARGEST <= number <= _LARGEST:
        raise BadInput(f"{what} is {number}; it must fit in 64 bits")


@lru_cache(maxsize=4_096)  # one look-up an observation instead of three
def _check_names(site: str, device: str, subject: str | None) -> None:
    check_name("site", site)
    check_name("device", device)
    if subject is not None:
        check_name("subject", subject)


@lru_cache(maxsize=4_096)  # the same few names come with every event; one that is refused is not kept
def check_name(what: str, name: str) -> None:
    """Raise BadInput for a name that a database would refuse: it must not be able to stop the writer."""
    if not 0 < len(name) <= _LONGEST or "\x00" in name or not name.isprintable():
        raise BadInput(f"{what} {name[:40]!r} must be 1 to {_LONGEST} printable characters")
