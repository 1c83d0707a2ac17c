"""An observation made ready for storing: packed, hashed, and checked against what a column can hold."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from twin.errors import BadInput
from twin.events.codec import pack, subject_of, type_name
from twin.events.envelope import FactEvent, ObservationEvent
from twin.events.facts import Fact
from twin.events.ids import Micros
from twin.events.observations import Observation

_LARGEST = 2**63 - 1
_LONGEST = 255
_FACT_ID = re.compile(r"[0-9a-f]{32}")

_blake2b = hashlib.blake2b
_frame = msgspec.msgpack.Encoder(order="deterministic").encode


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
    key, site, at = event.key, event.site, event.occurred_at
    device, boot_epoch, sequence = key.device, key.boot_epoch, key.sequence
    check_name("site", site)
    check_name("device", device)
    if not (0 <= boot_epoch <= _LARGEST and 0 <= sequence <= _LARGEST):
        _refuse_number(device, boot_epoch=boot_epoch, sequence=sequence)
    name, subject, payload = _packed(event.payload, at)
    framed = _frame((name, payload, at, site, device, boot_epoch, sequence))
    return Content(type=name, subject=subject, payload=payload, hash=_blake2b(framed, digest_size=16).digest())


def observation_hash(row: Mapping[str, Any]) -> bytes:
    """The hash of an observation in its columns, as ``content_of`` gives it."""
    names = ("type", "payload", "occurred_at", "site", "device", "boot_epoch", "sequence")
    return _blake2b(_frame([row[name] for name in names]), digest_size=16).digest()


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
    name, subject, payload = _packed(event.payload, event.occurred_at)
    return Content(type=name, subject=subject, payload=payload, hash=b"")


def _packed(payload: Observation | Fact, occurred_at: Micros) -> tuple[str, str | None, bytes]:
    """Type, subject and payload."""
    check_number("occurred_at", occurred_at)
    name, subject = type_name(payload), subject_of(payload)
    if subject is not None:
        check_name("subject", subject)
    try:
        return name, subject, pack(payload)
    except (UnicodeEncodeError, OverflowError) as wrong:
        raise BadInput(f"a payload of type '{name}' cannot be packed: {wrong}") from None


def check_number(what: str, number: int) -> None:
    """Raise BadInput for a number that no database's column can hold."""
    if not -_LARGEST <= number <= _LARGEST:
        raise BadInput(f"{what} is {number}; it must fit in 64 bits")


@lru_cache(maxsize=4_096)  # the same few names come with every event; one that is refused is not kept
def check_name(what: str, name: str) -> None:
    """Raise BadInput for a name that a database would refuse: it must not be able to stop the writer."""
    if not 0 < len(name) <= _LONGEST or "\x00" in name or not name.isprintable():
        raise BadInput(f"{what} {name[:40]!r} must be 1 to {_LONGEST} printable characters")
