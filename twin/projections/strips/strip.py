"""A strip: the facts of a stretch of valid time, and what each thing was at its beginning, by what was known.

Each fact says from which position on it is known and from which on it is not any more. What a thing was at the beginning is a
row for each answer that there ever was: the position from which on that was the answer, and the answer. So a strip gives the
state at any time in it as known at any position, and late facts do not make it useless: they add rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
import zstandard
from msgspec import Struct

from twin.errors import CodecError
from twin.events.facts import (
    CameraStateChanged,
    IdentitiesMerged,
    SessionAmended,
    SessionClosed,
    SessionOpened,
    StallChanged,
    VehicleConfirmed,
    VehicleDismissed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.ids import Micros
from twin.graph.nodes import CameraNow, SessionNow, StallNow, VehicleNow

Shown = (
    VehicleConfirmed
    | VehicleMoved
    | VehicleParked
    | VehicleHidden
    | VehicleLeft
    | VehicleDismissed
    | IdentitiesMerged
    | StallChanged
    | CameraStateChanged
    | SessionOpened
    | SessionClosed
    | SessionAmended
)
"""Facts that change one thing each."""

Thing = tuple[str, str]
"""Kind and id."""

NEVER = 2**62
"""A position that no log reaches."""

T = TypeVar("T")

_LEVEL = 3
_LARGEST = 256 * 2**20


class Held(Struct, frozen=True, array_like=True, gc=False):
    """A fact in a strip; known from ``position`` on, until (without) ``until``.

    Attributes:
        moves: the vehicle, where the fact says that one moves; empty otherwise.
        payload: None where it changes nothing but the time of the newest fact.
    """

    occurred_at: Micros
    position: int
    until: int
    moves: str
    payload: Shown | None

    def is_known(self, position: int) -> bool:
        """Whether it was true as known at a position."""
        return self.position <= position < self.until


class Sealed(Struct, frozen=True, array_like=True, gc=False):
    """A ``Held`` as it is read: most of what moves is not looked at, so that its payload stays packed."""

    occurred_at: Micros
    position: int
    until: int
    moves: str
    payload: msgspec.Raw


class VehicleRow(Struct, frozen=True, array_like=True, gc=False):
    """What a vehicle was, as known from ``position`` on; None: not on the site."""

    name: str
    position: int
    now: VehicleNow | None


class StallRow(Struct, frozen=True, array_like=True, gc=False):
    """What a stall was, likewise."""

    name: str
    position: int
    now: StallNow


class CameraRow(Struct, frozen=True, array_like=True, gc=False):
    """What a camera was, likewise."""

    name: str
    position: int
    now: CameraNow


class SessionRow(Struct, frozen=True, array_like=True, gc=False):
    """What an open stay was, likewise; None: none."""

    name: str
    position: int
    now: SessionNow | None


_Fact = TypeVar("_Fact", Held, Sealed)


class StripOf(Struct, Generic[_Fact], frozen=True, array_like=True, kw_only=True):
    """A stretch of valid time: after ``at``, until and with ``until_at``. It is right for every position from ``position`` on.

    Rows are sorted by id and position; the first of a thing is at ``position``, if it was any. Facts are sorted by
    (occurred_at, position).

    Attributes:
        newest: the time of the newest fact until ``at``, by what was known.
        built_to: the last fact position that is in it.
    """

    at: Micros
    until_at: Micros
    position: int
    built_to: int
    newest: list[tuple[int, Micros]]
    vehicles: list[VehicleRow]
    stalls: list[StallRow]
    cameras: list[CameraRow]
    sessions: list[SessionRow]
    facts: list[_Fact]


Strip = StripOf[Held]
"""As it is changed."""

ReadStrip = StripOf[Sealed]
"""As it is read."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Strip).decode
_decode_read = msgspec.msgpack.Decoder(ReadStrip).decode
_decode_shown = msgspec.msgpack.Decoder(Shown | None).decode


def pack_strip(strip: Strip) -> bytes:
    """As bytes."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(_encode(strip))


def unpack_strip(packed: bytes) -> Strip:
    """From bytes; raises CodecError where they are no strip."""
    return _unpacked(packed, _decode)


def unpack_read(packed: bytes) -> ReadStrip:
    """From bytes, to be read only; raises CodecError likewise."""
    return _unpacked(packed, _decode_read)


def n_encoded(packed: bytes) -> int:
    """How many bytes there are in a packed one."""
    return max(len(packed), zstandard.frame_content_size(packed))


def shown_in(fact: Sealed) -> Shown | None:
    """What a fact says; raises CodecError where it cannot be read."""
    try:
        return _decode_shown(fact.payload)
    except (msgspec.DecodeError, msgspec.ValidationError) as wrong:
        raise CodecError(f"a fact in a strip of the past cannot be read: {wrong}; it will be made again") from None


def _unpacked(packed: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(zstandard.ZstdDecompressor().decompress(packed, max_output_size=_LARGEST))
    except (zstandard.ZstdError, msgspec.DecodeError, msgspec.ValidationError, MemoryError) as wrong:
        raise CodecError(f"a strip of the past cannot be read: {wrong}; it will be made again") from None
