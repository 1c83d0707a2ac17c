"""Crossings of the site's boundary, and what one name's crossings alone say of its coming and going."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from twin.events.facts import Direction, SessionFlag
from twin.events.ids import SECOND, EventId, Micros, PortalId, SessionId

UNSURE = 0.9
"""A crossing that is less sure makes its stay one to be looked at."""

_RIGHT_SHARE = ((0.5, 0.33), (0.7, 0.4), (1.1, 0.92))
"""What share of stays was right at both ends whose least sure crossing was less sure than this: 113 stays on default noise
(seed 601 of ``overlap``, ``gaps`` and ``two-levels``, 4 to 6 cameras; ``ops/docs/evaluation.md``)."""

_SKEW: Micros = 60 * SECOND  # an exit that is told after its entry, and is earlier by less, is one whose time is wrong


class Passage(Struct, frozen=True, array_like=True):
    """A boundary was crossed.

    Attributes:
        session: what the stay is called that this begins; for an exit without an entry, what the orphan is called.
        were: what it was called by crossings that this one stands for now.
    """

    fact: EventId
    session: SessionId
    at: Micros
    direction: Direction
    portal: PortalId
    certainty: float
    flags: tuple[SessionFlag, ...] = ()
    were: tuple[SessionId, ...] = ()

    @property
    def names(self) -> tuple[SessionId, ...]:
        """What the stay is called, and was."""
        return self.session, *self.were


class Pin(Struct, frozen=True, array_like=True):
    """What people decided about one stay; it holds whatever is observed later.

    Attributes:
        exit_at: when it ended; None: when it was seen to.
        denied: exits that were none.
        at: when the last decision about its times or its price was made; 0: none was.
        evidence: the decisions.
        plate, plate_at: the decision that last set its plate, and when.
    """

    exit_at: Micros | None = None
    denied: tuple[EventId, ...] = ()
    is_waived: bool = False
    at: Micros = 0
    evidence: tuple[EventId, ...] = ()
    plate: EventId | None = None
    plate_at: Micros = 0


class Piece(Struct, frozen=True, array_like=True):
    """An entry, the exit after it, or both.

    Attributes:
        sessions: what it is called, and what its further entries, which say nothing new, would have been called.
        pinned_exit_at: when a person said that it ended.
        is_again: a further entry of who is inside, as far as this name's crossings say.
        again: such entries before the exit.
    """

    entry: Passage | None
    exit: Passage | None
    sessions: tuple[SessionId, ...]
    pinned_exit_at: Micros | None = None
    is_again: bool = False
    again: tuple[Passage, ...] = ()

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


def right_share(certainty: float) -> float:
    """How sure a stay is whose least sure crossing is so sure."""
    return next(share for less_than, share in _RIGHT_SHARE if certainty < less_than)


def rest_after(piece: Piece, ended_at: Micros | None) -> Piece | None:
    """What is left of a piece of a stay that ended before its exit: the next entry begins another one."""
    if piece.exit is None or ended_at is None or piece.exit.at <= ended_at:
        return None
    later = tuple(one for one in piece.again if one.at >= ended_at)
    return Piece(later[0], piece.exit, tuple(name for one in later for name in one.names), again=later[1:]) if later else None


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
    sessions: tuple[SessionId, ...] = ()
    again: tuple[Passage, ...] = ()
    for passage in passages:
        pinned = pinned_exit_at(sessions, pins)
        if passage.direction == "in":
            if entry is not None and pinned is not None and pinned <= passage.at:
                pieces.append(Piece(entry, None, sessions, pinned))
                entry, sessions, again = None, (), ()
            if entry is not None:
                again = (*again, passage)
            entry, sessions = entry or passage, (*sessions, *passage.names)
        elif passage.fact not in denied:
            pieces.append(Piece(entry, passage, sessions or passage.names, pinned, again=again))
            entry, sessions, again = None, (), ()
    if entry is not None:
        pieces.append(Piece(entry, None, sessions, pinned_exit_at(sessions, pins)))
        pieces += (Piece(one, None, one.names, is_again=True) for one in again)
    return pieces


def pinned_exit_at(sessions: Sequence[SessionId], pins: Mapping[SessionId, Pin]) -> Micros | None:
    """When people last said that a stay ended which is known by these names; None: they did not, or took it back."""
    known = [(pins[one].at, one) for one in sessions if one in pins and pins[one].at]
    return pins[max(known)[1]].exit_at if known else None
