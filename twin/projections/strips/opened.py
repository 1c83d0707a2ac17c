"""The strips that were read last, unpacked, of all sites of a process: so many bytes of them, whichever these are of."""

from __future__ import annotations

from collections import OrderedDict

from twin.events.ids import Micros
from twin.projections.strips.strip import ReadStrip

MOST_BYTES = 64_000_000
_OF_UNPACKED = 4  # bytes of memory for one of a strip as it is encoded; measured: 3.5

Key = tuple[object, Micros]
"""Whose it is, and the valid time at which it begins."""


class OpenStrips:
    """One that is asked for again is younger than all others; the oldest are forgotten first.

    Args:
        most_bytes: of memory, about. A strip that takes more by itself is not kept; 0 keeps none.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self.n_bytes = 0
        self._kept: OrderedDict[Key, tuple[ReadStrip, int]] = OrderedDict()

    def get(self, key: Key) -> ReadStrip | None:
        """One that is kept."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: Key, strip: ReadStrip, n_encoded: int) -> None:
        """Keep one, of so many bytes as it is encoded."""
        self.drop(key)
        n_bytes = _OF_UNPACKED * n_encoded
        if n_bytes > self.most_bytes:
            return
        self._kept[key] = strip, n_bytes
        self.n_bytes += n_bytes
        while self.n_bytes > self.most_bytes:
            _, (_, n_freed) = self._kept.popitem(last=False)
            self.n_bytes -= n_freed

    def drop(self, key: Key) -> None:
        """Forget one; that of another stays."""
        _, n_freed = self._kept.pop(key, (None, 0))
        self.n_bytes -= n_freed

    def drop_all(self, owner: object) -> None:
        """Forget all of one owner."""
        for key in [key for key in self._kept if key[0] is owner]:
            self.drop(key)
