"""What no thing carries: sessions opened and closed, and how often portals were crossed, at any (at, position).

A count is a sum over facts that occurred until ``at`` and are known at ``position``. A fact adds at its own position, and takes
away again at that of the fact that supersedes it: so nothing that was noted ever changes. It is noted in blocks of
positions; a block that is wholly before both times is one sum.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from twin.errors import CodecError
from twin.events.facts import Fact, PortalCrossed, SessionAmended, SessionClosed, SessionOpened, SessionOrphaned
from twin.events.ids import Micros
from twin.graph.apply import change
from twin.graph.flat import BLANK, FlatGraph
from twin.graph.nodes import PortalNow, Tally

BLOCK = 2_048
_TALLY = Tally.__struct_fields__

Note = tuple[int, Micros, int, int]
"""Position, valid time, which count, and by how much it changes."""


class _Packed(Struct, frozen=True, array_like=True):
    n: int
    body: bytes


class Block:
    """Notes of a stretch of positions; they are never changed."""

    def __init__(self, notes: NDArray[np.int64], n_counts: int) -> None:
        self.notes = notes
        self.first, self.last = int(notes[0, 0]), int(notes[-1, 0])
        self.first_at, self.last_at = int(notes[:, 1].min()), int(notes[:, 1].max())
        self.total = np.bincount(notes[:, 2], notes[:, 3], n_counts)

    def until(self, at: Micros, position: int, n_counts: int) -> NDArray[Any] | None:
        """The sums; None where they are 0."""
        if self.first > position or self.first_at > at:
            return None
        if self.last <= position and self.last_at <= at:
            return self.total
        notes = self.notes
        told = notes[(notes[:, 0] <= position) & (notes[:, 1] <= at)]
        return np.bincount(told[:, 2], told[:, 3], n_counts)


class Counts:
    """All counts of a site."""

    def __init__(self, model: FlatGraph) -> None:
        self._portals = [name for name, _ in model.each("portal")]
        self.n_counts = len(_TALLY) + 2 * len(self._portals)
        self._scratch = model.copy()
        self.blocks: list[Block] = []
        self.open: list[Note] = []
        self._newest: tuple[int, Block | None] = (0, None)

    def changes(self, payload: Fact) -> list[tuple[int, int]]:
        """Which counts a fact changes, and by how much."""
        if not isinstance(payload, SessionOpened | SessionClosed | SessionOrphaned | SessionAmended | PortalCrossed):
            return []
        graph = self._scratch
        change(graph, payload, 0)
        found = [(n, value) for n, name in enumerate(_TALLY) if (value := getattr(graph.tally, name))]
        if isinstance(payload, PortalCrossed) and (now := graph.now("portal", payload.portal)) is not None:
            place = len(_TALLY) + 2 * self._portals.index(payload.portal)
            found += [(place + n, value) for n, value in enumerate((now.n_in, now.n_out)) if value]
            graph.put("portal", payload.portal, BLANK["portal"])
        graph.tally = Tally()
        graph.nodes["session"].clear()
        return found

    def note(self, notes: list[Note]) -> list[Block]:
        """Note more, in order of position; gives the blocks that it fills."""
        self.open += notes
        filled = list[Block]()
        while len(self.open) >= 2 * BLOCK:  # notes of one position are in one block, if they are not that many
            filled.append(Block(np.array(self.open[:BLOCK], dtype=np.int64), self.n_counts))
            del self.open[:BLOCK]
        self.blocks += filled
        return filled

    def _open(self) -> Block | None:
        """The notes that fill no block yet."""
        place = BLOCK * len(self.blocks) + len(self.open)  # it only grows
        if self._newest[0] != place:
            made = Block(np.array(self.open, dtype=np.int64), self.n_counts) if self.open else None
            self._newest = place, made
        return self._newest[1]

    def put(self, graph: FlatGraph, at: Micros, position: int) -> None:
        """Set the counts of a graph."""
        sums = np.zeros(self.n_counts)
        newest = self._open()
        for block in [*self.blocks, newest] if newest is not None else self.blocks:
            if (found := block.until(at, position, self.n_counts)) is not None:
                sums += found
        counts = [int(one) for one in sums]
        graph.tally = Tally(**dict(zip(_TALLY, counts, strict=False)))
        for n, name in enumerate(self._portals):
            n_in, n_out = counts[len(_TALLY) + 2 * n : len(_TALLY) + 2 * n + 2]
            graph.put("portal", name, PortalNow(n_in=n_in, n_out=n_out))


def pack_block(block: Block) -> bytes:
    """As bytes."""
    return msgspec.msgpack.encode(_Packed(len(block.notes), np.ascontiguousarray(block.notes, dtype="<i8").tobytes()))


def unpack_block(packed: bytes, n_counts: int) -> Block:
    """From bytes; raises CodecError where they are no block."""
    try:
        one = msgspec.msgpack.decode(packed, type=_Packed)
        notes = np.frombuffer(one.body, dtype="<i8").reshape(one.n, 4).astype(np.int64)
        return Block(notes, n_counts)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError, IndexError) as wrong:
        raise CodecError(f"a block of counts cannot be read: {wrong}; it will be made again") from None
