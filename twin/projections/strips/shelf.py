"""Where strips are kept: beside the log, as disposable snapshots, with a directory of them that is written with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import Struct

from twin.errors import CodecError
from twin.events.ids import Micros, SiteId
from twin.log.port import Log, Snapshot
from twin.projections.moment import BEFORE_ALL, FOREVER
from twin.projections.strips.counts import Block, Note, pack_block, unpack_block
from twin.projections.strips.strip import NEVER, Strip, unpack_strip

STRIP_KIND = "graph.strip"
COUNTS_KIND = "graph.counts"
DIRECTORY_KIND = "graph.directory"
_EVERY = 2**62
_MOST_BLOCKS = 1_000_000


class Window(NamedTuple):
    """A strip in the directory.

    Attributes:
        at: valid time after which its facts are.
        position: it is right for positions from here on.
        first: the least position of its facts.
    """

    at: Micros
    position: int
    first: int


class Changed(NamedTuple):
    """A strip that is not kept yet, packed."""

    window: Window
    packed: bytes


class Directory(Struct, frozen=True, kw_only=True, array_like=True):
    """All strips, what they are built from, and the newest counts.

    Attributes:
        number: how often strips were written; no two that were written after each other are the same bytes.
        built_to: the last fact position that is in the strips.
        cut: the position up to which retention had taken movement.
    """

    built_to: int = 0
    cut: int = 0
    windows: tuple[Window, ...] = (Window(BEFORE_ALL, 0, NEVER),)
    n_blocks: int = 0
    notes: list[Note] = msgspec.field(default_factory=list)
    number: int = 0


EMPTY = Strip(
    at=BEFORE_ALL, until_at=FOREVER, position=0, built_to=0,
    newest=[], vehicles=[], stalls=[], cameras=[], sessions=[], facts=[],
)  # fmt: skip

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Directory).decode


class Shelf:
    """Reads and writes one site's."""

    def __init__(self, log: Log, site: SiteId, version: str) -> None:
        self._log = log
        self._site = site
        self._version = version
        self._stored: bytes | None = None

    async def directory(self) -> Directory | None:
        """The one that was written last; None where there is none that can be read. ``save`` goes on from it."""
        found = await self._log.load_snapshot(self._site, DIRECTORY_KIND, self._version, position=0, at=0)
        self._stored = None if found is None else found.body
        try:
            return None if found is None else _decode(found.body)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None

    async def packed(self, window: Window) -> bytes:
        """The strip of a window, packed; raises CodecError where it is not there or damaged."""
        found = await self._log.load_snapshot(self._site, STRIP_KIND, self._version, position=window.position, at=window.at)
        if found is None:
            raise CodecError(f"the strip of the past at {window.at} is not there or damaged; it will be made again")
        return found.body

    async def strip_at(self, at: Micros) -> Strip:
        """The strip that begins at a valid time; raises CodecError likewise."""
        found = await self._log.load_snapshots(
            self._site, STRIP_KIND, self._version, until_position=_EVERY, until_at=at, limit=1
        )
        if not found or found[0].at != at:
            raise CodecError(f"no strip of the past begins at {at}; it will be made again")
        return unpack_strip(found[0].body)

    async def blocks(self, n_blocks: int, n_counts: int) -> list[Block]:
        """The first so many blocks of counts; raises CodecError where they are not there or damaged."""
        if not n_blocks:
            return []
        found = await self._log.load_snapshots(
            self._site, COUNTS_KIND, self._version, until_position=_EVERY, limit=_MOST_BLOCKS
        )
        by_number = {one.at: one for one in found}
        if any(number not in by_number for number in range(n_blocks)):
            raise CodecError("blocks of counts are not there or damaged; they will be made again")
        return [unpack_block(by_number[number].body, n_counts) for number in range(n_blocks)]

    async def save(self, directory: Directory, strips: Iterable[Changed], blocks: Iterable[tuple[int, Block]] = ()) -> bool:
        """Write strips, blocks of counts with their numbers, and the directory, all or none: none where another process wrote
        since it was read here. Gives whether they are kept."""
        written = [self._one(COUNTS_KIND, block.last, number, pack_block(block)) for number, block in blocks]
        written += (self._one(STRIP_KIND, one.window.position, one.window.at, one.packed) for one in strips)
        last = self._one(DIRECTORY_KIND, 0, 0, _encode(directory))
        is_kept = await self._log.save_snapshots([*written, last], instead_of=self._stored)
        if is_kept:
            self._stored = last.body
        return is_kept

    async def drop(self, *, below: int | None = None) -> None:
        """Forget strips that are right only from a position before this one on; without it, everything."""
        if below is not None:
            await self._log.drop_snapshots(self._site, STRIP_KIND, below=below)
            return
        for kind in (DIRECTORY_KIND, STRIP_KIND, COUNTS_KIND):
            await self._log.drop_snapshots(self._site, kind, below=_EVERY)

    def _one(self, kind: str, position: int, at: Micros, body: bytes) -> Snapshot:
        return Snapshot(site=self._site, kind=kind, version=self._version, position=position, at=at, body=body)
