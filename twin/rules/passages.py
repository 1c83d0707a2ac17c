"""Crossings of the site's boundary, and what one name's crossings alone say of its coming and going."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from twin.events.facts import Direction, SessionFlag
from twin.events.ids import SECOND, EventId, Micros, PortalId, SessionId

UNSURE = 0.9
"""A crossing that is less sure makes its stay one to be looked at."""

_SKEW: Micros = 60 * SECOND  # an exit that is told after its entry, and is earlier by less, is one whose time is wrong


class Passage(Struct, frozen=True, array_like=True):
    """A boundary was crossed.

    Attributes:
        session: what the stay is called that this begins; for an exit without an entry, what the orphan is called.
    """

    fact: EventId
    session: SessionId
    at: Micros
    direction: Direction
    portal: PortalId
    certainty: float
    flags: tuple[SessionFlag, ...] = ()


class Pin(Struct, frozen=True, array_like=True):
    """What people decided about one stay; it holds whatever is observed later.

    Attributes:
        exit_at: when it ended; None: when it was seen to.
        denied: exits that were none.
        at: when the last decision was made.
        evidence: the decisions.
    """

    exit_at: Micros | None = None
    denied: tuple[EventId, ...] = ()
    is_waived: bool = False
    at: Micros = 0
    evidence: tuple[EventId, ...] = ()


class Piece(Struct, frozen=True, array_like=True):
    """An entry, the exit after it, or both."""

    entry: Passage | None
    exit: Passage | None
    pinned_exit_at: Micros | None = None

    @property
    def first(self) -> Passage:
        """What it begins with."""
        first = self.entry or self.exit
        assert first is not None
        return first

    @property
    def at(self) -> Micros:
        """When it begins."""
        return self.first.at

    @property
    def exit_at(self) -> Micros | None:
        """When it ends: never before its entry; None: not yet."""
        if self.entry is not None and self.pinned_exit_at is not None:
            return max(self.pinned_exit_at, self.entry.at)
        return None if self.exit is None else self.exit.at


def with_passage(passages: tuple[Passage, ...], added: Passage) -> tuple[Passage, ...]:
    """Passages of one name by time; an exit that is told just after its entry is not before it, and is marked."""
    last = passages[-1] if passages else None
    if last is not None and last.direction == "in" and added.direction == "out" and 0 < last.at - added.at < _SKEW:
        added = replace(added, at=last.at, flags=tuple(sorted({*added.flags, "unverified"})))
    return tuple(sorted((*passages, added), key=lambda one: one.at))


def pieces_of(passages: Sequence[Passage], pins: Mapping[SessionId, Pin], denied: frozenset[EventId]) -> list[Piece]:
    """Entries and exits in turn, without the denied ones.

    A further entry of who is inside says nothing new, unless a person says that it had left.
    """
    pieces: list[Piece] = []
    entry: Passage | None = None
    for passage in passages:
        pin = _NONE if entry is None else pins.get(entry.session, _NONE)
        if passage.direction == "in":
            if entry is not None and pin.exit_at is not None and pin.exit_at <= passage.at:
                pieces.append(Piece(entry, None, pin.exit_at))
                entry = None
            entry = entry or passage
        elif passage.fact not in denied:
            pieces.append(Piece(entry, passage, pin.exit_at))
            entry = None
    if entry is not None:
        pieces.append(Piece(entry, None, pins.get(entry.session, _NONE).exit_at))
    return pieces


_NONE = Pin()
