"""Payloads as they are stored: compressed, each by itself, with a dictionary of what payloads look like.

A payload is a msgpack map, which never begins with a byte below 0x80. A stored one that does begins with the number of its
dictionary, and a zstd frame follows, of the payload or of its text (``plain_text``); any other is stored as it is, as all were
before. Hashes and links cover what is unpacked.

Dictionaries come with the package and stay for good: a number means the same bytes in every release. A better one gets a new
number. ``python -m ops.bench.storage.dictionaries`` trains them.

Source: RFC 8878, "Zstandard Compression", on dictionaries; Collet & Kucherawy (2021).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.resources import files
from itertools import repeat
from typing import Any, TypeVar, cast

import msgspec
import zstandard
from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from twin.errors import DamagedLog
from twin.events.facts import Fact
from twin.events.observations import Observation
from twin.log.chain import LogName
from twin.log.sql.plain_text import payload_of, plain_of, text_of

T = TypeVar("T")

DICTIONARIES = {
    1: "ccf5f42348cda00eb60cfa53d2ac5350",
    2: "48ed6641f6c1f9cd4ef99eaf5ff98c28",
    3: "ab9ef443209b131c117e60af86a8c6fe",
    4: "bbfe2d8016d3c05f4fc2d89cefcf8d1b",
}
"""BLAKE2b, 128 bits, of each: its file's name, checked when it is read."""

OF_TEXT: dict[LogName, int] = {"observations": 3, "facts": 4}
"""What the text of payloads is written with now."""

OTHERS: dict[LogName, int] = {"observations": 1, "facts": 2}
"""What those are written with that have none."""

LEVEL = 3
_TEXTS = {3, 4}
_PLAIN_FROM = 0x80
_LARGEST = 64 * 2**20
_FORMAT = zstandard.FORMAT_ZSTD1_MAGICLESS
_SMALLEST = 48  # shorter ones gain nothing worth the time

_of_thread = threading.local()  # a context of zstd serves one thread at a time


def packed(log: LogName, payloads: Sequence[bytes], told: Iterable[Observation | Fact | None] = repeat(None)) -> list[bytes]:
    """Payloads as they are stored; those that do not shrink stay as they are.

    Args:
        told: what each was packed of, where that is at hand.
    """
    found, texts, others = list(payloads), dict[int, bytes](), dict[int, bytes]()
    for place, (one, of) in enumerate(zip(payloads, told, strict=False)):
        if (text := text_of(one, of)) is not None:
            texts[place] = text
        elif len(one) >= _SMALLEST:
            others[place] = one
    for number, bodies in ((OF_TEXT[log], texts), (OTHERS[log], others)):
        prefix = bytes([number])
        for place, frame in zip(bodies, _compressed(_compressor(number), list(bodies.values())), strict=True):
            if len(frame) + 1 < len(payloads[place]):
                found[place] = prefix + frame
    return found


def unpacked(stored: bytes) -> bytes:
    """The payload in what is stored.

    Raises:
        DamagedLog: it cannot be unpacked, or its dictionary is not known here.
    """
    if not stored or stored[0] >= _PLAIN_FROM:
        return stored
    body = _body(stored)
    try:
        return payload_of(body) if stored[0] in _TEXTS else body
    except (msgspec.DecodeError, ValueError, OverflowError) as wrong:
        raise _damaged(wrong) from None


def read(stored: bytes, name: str, of_packed: Callable[[str, bytes], T], of_text: Callable[[str, bytes], T]) -> T:
    """What the payload of a type in what is stored says, without its bytes being made again from its text.

    Raises:
        DamagedLog: as ``unpacked``.
        CodecError, UnknownEventType: as what reads it does.
    """
    if not stored or stored[0] >= _PLAIN_FROM:
        return of_packed(name, stored)
    body = _body(stored)
    return of_text(name, plain_of(body)) if stored[0] in _TEXTS else of_packed(name, body)


def _body(stored: bytes) -> bytes:
    """What was compressed."""
    number, frame = stored[0], stored[1:]
    if number not in DICTIONARIES:
        known = ", ".join(map(str, DICTIONARIES))
        raise DamagedLog(
            f"a payload was packed with dictionary {number}, known are {known}: a newer release wrote it, or it is damaged."
            " Read the log with that release, or see `twin log verify`"
        )
    try:
        n_bytes = zstandard.get_frame_parameters(frame, format=_FORMAT).content_size
        if n_bytes > _LARGEST:
            raise DamagedLog(f"a packed payload says that it has {n_bytes} bytes, more than any has; see `twin log verify`")
        return _decompressor(number).decompress(frame)
    except (zstandard.ZstdError, ValueError, OverflowError) as wrong:
        raise _damaged(wrong) from None


def _damaged(wrong: Exception) -> DamagedLog:
    return DamagedLog(f"a packed payload cannot be unpacked: {wrong}; see `twin log verify`")


class Payload(TypeDecorator[bytes]):
    """A column of payloads: packed where they go in, unpacked where they come out. Raw statements pack for themselves.

    Where it is not ``strict``, what cannot be unpacked is given as it is stored, for those who compare it with its hash.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, log: LogName, *, strict: bool = True) -> None:
        super().__init__()
        self.log: LogName = log
        self.strict = strict

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        """See ``packed``."""
        return None if value is None else packed(self.log, [value])[0]

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        """See ``unpacked``."""
        if not isinstance(value, bytes):
            return value
        try:
            return unpacked(value)
        except DamagedLog:
            if self.strict:
                raise
            return value


def _compressed(compressor: zstandard.ZstdCompressor, payloads: list[bytes]) -> list[bytes]:
    """A frame each; many go in one call, since each lets go of the interpreter's lock and waits to have it back."""
    if len(payloads) > 1 and "multi_compress_to_buffer" in zstandard.backend_features:
        return [segment.tobytes() for segment in compressor.multi_compress_to_buffer(cast("list[Any]", payloads))]
    return [compressor.compress(one) for one in payloads]


def _compressor(number: int) -> zstandard.ZstdCompressor:
    known = vars(_of_thread).setdefault("compressors", {})
    if number not in known:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            LEVEL, format=_FORMAT, write_content_size=True, write_dict_id=False, write_checksum=False
        )
        known[number] = zstandard.ZstdCompressor(dict_data=_dictionary(number), compression_params=parameters)
    return known[number]


def _decompressor(number: int) -> zstandard.ZstdDecompressor:
    known: dict[Any, zstandard.ZstdDecompressor] = vars(_of_thread)
    if (found := known.get(number)) is None:
        found = known[number] = zstandard.ZstdDecompressor(dict_data=_dictionary(number), format=_FORMAT)
    return found


@cache
def _dictionary(number: int) -> zstandard.ZstdCompressionDict:
    name = DICTIONARIES[number]
    content = (files("twin.log.sql") / "dictionaries" / f"{name}.dict").read_bytes()
    found = hashlib.blake2b(content, digest_size=16).hexdigest()
    if found != name:
        raise DamagedLog(f"dictionary {number} of this installation has hash {found}, not {name}; install the package again")
    return zstandard.ZstdCompressionDict(content)
