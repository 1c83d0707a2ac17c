"""``.jsonl`` and ``.jsonl.zst`` files of events, one CloudEvents JSON object a line."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import zstandard

from twin.errors import BadInput, CodecError
from twin.events.codec import from_json, to_json
from twin.events.envelope import FactEvent, ObservationEvent, RecordedFact

_MAX_LINE_BYTES = 8_000_000


def read_observations(path: Path) -> Iterator[ObservationEvent]:
    """Observations of a file, in file order; blank lines are skipped.

    Raises:
        BadInput: no such file, a broken compression, or a line that is no observation; names file and line.
    """
    with _lines(path) as lines:
        for number, line in enumerate(_decoded(path, lines), start=1):
            if line.strip():
                yield _observation(path, number, line)


def mentions(path: Path, type_name: str) -> bool:
    """Whether any line names this event type; reads until the first that does."""
    needle = f'"{type_name}"'.encode()
    with _lines(path) as lines:
        return any(needle in line for line in _decoded(path, lines))


class FactWriter:
    """Writes facts, one a line; the file takes its name when the writer is left without an error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")

    def __enter__(self) -> Self:
        self._out = self._partial.open("wb")
        return self

    def write(self, fact: RecordedFact) -> None:
        """Add one fact."""
        self._out.write(to_json(fact) + b"\n")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._out.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink()


@contextmanager
def _lines(path: Path) -> Iterator[Iterable[bytes]]:
    try:
        raw = path.open("rb")
    except OSError as wrong:
        raise BadInput(f"observations file '{path}' cannot be read: {wrong.strerror}; check the path") from None
    with raw:
        if path.suffix == ".zst":
            with zstandard.ZstdDecompressor().stream_reader(raw) as plain, io.BufferedReader(plain) as lines:
                yield lines
        else:
            yield raw


def _decoded(path: Path, lines: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from lines
    except zstandard.ZstdError as wrong:
        raise BadInput(f"'{path}' is not whole zstd data: {wrong}; write it again") from None


def _observation(path: Path, number: int, line: bytes) -> ObservationEvent:
    if len(line) > _MAX_LINE_BYTES:
        raise BadInput(f"{path}:{number}: line of {len(line)} bytes; an event has at most {_MAX_LINE_BYTES}")
    try:
        event = from_json(line)
    except CodecError as wrong:
        raise BadInput(f"{path}:{number}: {wrong}") from None
    if isinstance(event, FactEvent):
        raise BadInput(f"{path}:{number}: a fact stands among the observations; give only observations")
    return event
