"""What no thing carries: sessions opened and closed, and how often portals were crossed, at any (at, position).

A count is a sum over facts that occurred until ``at`` and are known at ``position``. A fact adds at its own position, and takes
away again at that of the fact that supersedes it: so nothing that was noted ever changes. It is noted in blocks of
positions: a block that is wholly before both times is one sum, and of one that is wholly known the notes are sorted by valid
time, with a sum at each sixty-fourth.
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
_STEP = 64
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
        by_time = notes[np.argsort(notes[:, 1], kind="stable")]
        self._ats, self._counts, self._by = (np.ascontiguousarray(by_time[:, column]) for column in (1, 2, 3))
        steps = [self._between(start, start + _STEP, n_counts) for start in range(0, len(notes), _STEP)]
        self._sums = np.cumsum([np.zeros(n_counts), *steps], axis=0)

    def until(self, at: Micros, position: int, n_counts: int) -> NDArray[Any]:
        """The sums of the notes until both times."""
        if self.last <= position:
            n_notes = int(np.searchsorted(self._ats, at, "right"))
            step = n_notes // _STEP
            return self._sums[step] + self._between(step * _STEP, n_notes, n_counts)
        notes = self.notes
        told = notes[(notes[:, 0] <= position) & (notes[:, 1] <= at)]
        return np.bincount(told[:, 2], told[:, 3], n_counts)

    def _between(self, start: int, end: int, n_counts: int) -> NDArray[Any]:
        return np.bincount(self._counts[start:end], self._by[start:end], n_counts)


class _Sorted:
    """Where blocks begin and end in both times, and their sums, one row each."""

    def __init__(self, blocks: list[Block], n_counts: int) -> None:
        self.blocks = blocks
        self._ends = np.array([(one.first, one.last, one.first_at, one.last_at) for one in blocks]).reshape(-1, 4).T
        self._totals = np.array([one.total for one in blocks]).reshape(-1, n_counts)

    def until(self, at: Micros, position: int, n_counts: int) -> NDArray[Any]:
        """The sums of the notes until both times."""
        first, last, first_at, last_at = self._ends
        is_whole = (last <= position) & (last_at <= at)
        sums = self._totals[is_whole].sum(axis=0)
        for n in np.flatnonzero((first <= position) & (first_at <= at) & ~is_whole):
            sums += self.blocks[n].until(at, position, n_counts)
        return sums


class Counts:
    """All counts of a site."""

    def __init__(self, model: FlatGraph) -> None:
        self._portals = [name for name, _ in model.each("portal")]
        self.n_counts = len(_TALLY) + 2 * len(self._portals)
        self._scratch = model.copy()
        self.blocks: list[Block] = []
        self.open: list[Note] = []
        self._newest: tuple[int, _Sorted] = (0, _Sorted([], self.n_counts))

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

    def _all(self) -> _Sorted:
        """All blocks, and one of the notes that fill none yet."""
        place = BLOCK * len(self.blocks) + len(self.open)  # it only grows
        if self._newest[0] != place:
            made = [Block(np.array(self.open, dtype=np.int64), self.n_counts)] if self.open else []
            self._newest = place, _Sorted([*self.blocks, *made], self.n_counts)
        return self._newest[1]

    def put(self, graph: FlatGraph, at: Micros, position: int) -> None:
        """Set the counts of a graph."""
        sums = self._all().until(at, position, self.n_counts)
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
