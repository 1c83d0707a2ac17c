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
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar, cast

import msgspec
import zstandard
from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from twin.errors import CodecError, DamagedLog
from twin.events.facts import Fact
from twin.events.observations import Observation
from twin.log.chain import LogName
from twin.log.sql.plain_text import payload_of, plain_of, texts_of

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
_PARAMETERS = zstandard.ZstdCompressionParameters.from_level(
    LEVEL, format=_FORMAT, write_content_size=True, write_dict_id=False, write_checksum=False
)
_UNUSED = 0x10  # in a frame's first byte: readers of the format do not look at it, so that an edit of it would change nothing
_SMALLEST = 48  # without a text: shorter ones gain nothing worth the time

_of_thread = threading.local()  # a context of zstd serves one thread at a time


def packed(log: LogName, payloads: Sequence[bytes], told: Sequence[Observation | Fact] | None = None) -> list[bytes]:
    """Payloads as they are stored; those that do not shrink stay as they are.

    Args:
        told: what each was packed of, where that is at hand.
    """
    texts = texts_of(payloads, told)
    if None in texts:
        found = _of_both(log, payloads, texts)
    else:
        found = _frames(OF_TEXT[log], cast("list[bytes]", texts))
    return [one if len(one) < len(payload) else payload for one, payload in zip(found, payloads, strict=True)]


def _of_both(log: LogName, payloads: Sequence[bytes], texts: Sequence[bytes | None]) -> list[bytes]:
    """Frames of those that have texts, and of those that have none."""
    both = list(zip(payloads, texts, strict=True))
    of_texts = iter(_frames(OF_TEXT[log], [text for text in texts if text is not None]))
    of_others = iter(_frames(OTHERS[log], [one for one, text in both if text is None and len(one) >= _SMALLEST]))
    return [next(of_texts) if text is not None else next(of_others) if len(one) >= _SMALLEST else one for one, text in both]


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
    if stored[0] not in _TEXTS:
        return of_packed(name, body)
    try:
        return of_text(name, plain_of(body))
    except (CodecError, ValueError, OverflowError):
        unpacked(stored)  # raises if it is no payload's text at all
        raise


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
        if frame[0] & _UNUSED:
            raise ValueError("a bit is set that no frame has")
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


def _frames(number: int, bodies: list[bytes]) -> list[bytes]:
    """The dictionary's number and a frame each; many go in one call, as each call lets go of the interpreter's lock."""
    prefix, compressor = bytes([number]), _compressor(number)
    if len(bodies) > 1 and "multi_compress_to_buffer" in zstandard.backend_features:
        segments = compressor.multi_compress_to_buffer(cast("list[Any]", bodies))
        return [prefix + segment for segment in segments]  # pyright: ignore[reportOperatorIssue]
    return [prefix + compressor.compress(one) for one in bodies]


def _compressor(number: int) -> zstandard.ZstdCompressor:
    known: dict[int, zstandard.ZstdCompressor] = vars(_of_thread).setdefault("compressors", {})
    if (found := known.get(number)) is None:
        found = known[number] = zstandard.ZstdCompressor(dict_data=_digested(number), compression_params=_PARAMETERS)
    return found


def _decompressor(number: int) -> zstandard.ZstdDecompressor:
    known: dict[int, zstandard.ZstdDecompressor] = vars(_of_thread).setdefault("decompressors", {})
    if (found := known.get(number)) is None:
        found = known[number] = zstandard.ZstdDecompressor(dict_data=_dictionary(number), format=_FORMAT)
    return found


@cache
def _digested(number: int) -> zstandard.ZstdCompressionDict:
    """A dictionary for compressors; otherwise each call that compresses many would make its tables anew."""
    dictionary = zstandard.ZstdCompressionDict(_dictionary(number).as_bytes())
    dictionary.precompute_compress(compression_params=_PARAMETERS)
    return dictionary


@cache
def _dictionary(number: int) -> zstandard.ZstdCompressionDict:
    name = DICTIONARIES[number]
    content = (files("twin.log.sql") / "dictionaries" / f"{name}.dict").read_bytes()
    found = hashlib.blake2b(content, digest_size=16).hexdigest()
    if found != name:
        raise DamagedLog(f"dictionary {number} of this installation has hash {found}, not {name}; install the package again")
    return zstandard.ZstdCompressionDict(content)
