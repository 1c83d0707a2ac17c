"""What is stored of each device, where observations are in a broker and no index holds every device key.

Of a boot epoch the newest sequence is kept, and which before it never came: a device may have given them up, or they come late.
What is neither after the newest nor among those was stored before.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from twin.events.envelope import DeviceKey
from twin.events.ids import DeviceId
from twin.log.port import Outcome

N_EPOCHS = 8
"""Boot epochs of a device that are remembered. What comes from an older one was sent again after that many restarts."""

N_HOLES = 32
"""Ranges of sequences that are still waited for, of one boot epoch; what was in an older one counts as sent again."""


class Mark(NamedTuple):
    """The newest observation stored of a boot epoch.

    Attributes:
        holes: closed ranges of sequences before it that never came, ascending.
    """

    sequence: int
    position: int
    content_hash: bytes
    holes: tuple[tuple[int, int], ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[DeviceId, int, Mark]]).decode


class Devices:
    """The marks of every device of a site, as of a position."""

    def __init__(self, packed: bytes = b"") -> None:
        self._marks: dict[DeviceId, dict[int, Mark]] = {}
        for device, epoch, mark in _decode(packed) if packed else ():
            self._marks.setdefault(device, {})[epoch] = mark

    def pack(self) -> bytes:
        """The same marks give the same bytes."""
        marks = ((device, epoch, mark) for device, epochs in self._marks.items() for epoch, mark in epochs.items())
        return _encode(sorted(marks))

    def judge(self, key: DeviceKey, content_hash: bytes) -> tuple[Outcome, int]:
        """What becomes of an observation, and where the one that it repeats is stored; 0 where that is not known.

        Other content is told from the same only at the newest of a boot epoch.
        """
        epochs = self._marks.get(key.device, {})
        mark = epochs.get(key.boot_epoch)
        if mark is None:
            is_old = len(epochs) >= N_EPOCHS and key.boot_epoch < min(epochs)
            return (Outcome.DUPLICATE if is_old else Outcome.STORED), 0
        if key.sequence > mark.sequence or any(first <= key.sequence <= last for first, last in mark.holes):
            return Outcome.STORED, 0
        if key.sequence < mark.sequence:
            return Outcome.DUPLICATE, 0
        return (Outcome.DUPLICATE if mark.content_hash == content_hash else Outcome.REFUSED), mark.position

    def stored(self, key: DeviceKey, position: int, content_hash: bytes) -> None:
        """Note an observation that was judged to be stored."""
        epochs = self._marks.setdefault(key.device, {})
        mark = epochs.get(key.boot_epoch, Mark(0, 0, b"", ()))
        if key.sequence < mark.sequence:
            epochs[key.boot_epoch] = mark._replace(holes=_without(mark.holes, key.sequence))
            return
        holes = mark.holes if key.sequence == mark.sequence + 1 else (*mark.holes, (mark.sequence + 1, key.sequence - 1))
        epochs[key.boot_epoch] = Mark(key.sequence, position, content_hash, holes[-N_HOLES:])
        if len(epochs) > N_EPOCHS:
            del epochs[min(epochs)]


def _without(holes: tuple[tuple[int, int], ...], sequence: int) -> tuple[tuple[int, int], ...]:
    parts = (
        part
        for first, last in holes
        for part in (((first, sequence - 1), (sequence + 1, last)) if first <= sequence <= last else ((first, last),))
    )
    return tuple((first, last) for first, last in parts if first <= last)[-N_HOLES:]
