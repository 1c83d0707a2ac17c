"""The stays of one vehicle: a pure function of its crossings under all its names, and of what people decided.

Whatever changes (a crossing that came late, two names that are one, a decision), the stays are made anew from all that is
known, and what differs is said. So a split after a merge gives what was before it, and no order of arrival matters.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from twin.events.facts import SessionFlag
from twin.events.ids import EventId, Micros, PortalId, SessionId, VehicleId
from twin.rules.passages import UNSURE, Passage, Piece, Pin, pieces_of, rest_after, right_share

StayStatus = Literal["open", "closed", "orphan", "void"]


class Stay(Struct, frozen=True, array_like=True):
    """One stay as it is known.

    Attributes:
        status: "orphan": an exit without an entry; "void": another stay is it.
        exits: crossings outwards that it rests on.
        version: 1 when it is first told, 1 more with each fact about it.
        said_at: the valid time of the latest fact about it.
        tariff: the one that held at its entry, for good.
        pinned_at: when a person last decided about it.
        plate: the decision that last set its number plate.
        sessions: every name of it: its own, and those of the stays that are part of it.
    """

    session: SessionId
    vehicle: VehicleId
    status: StayStatus
    entry_at: Micros | None
    exit_at: Micros | None
    portal_in: PortalId | None
    portal_out: PortalId | None
    confidence: float
    flags: tuple[SessionFlag, ...]
    evidence: tuple[EventId, ...]
    exits: tuple[EventId, ...] = ()
    is_waived: bool = False
    pinned_at: Micros | None = None
    tariff: str | None = None
    version: int = 0
    said_at: Micros = 0
    plate: EventId | None = None
    sessions: tuple[SessionId, ...] = ()


class Merge(Struct, frozen=True, array_like=True):
    """Since when ``merged`` is one with ``vehicle``; ``decision`` by which a person said so, None: the twin found out."""

    vehicle: VehicleId
    merged: VehicleId
    at: Micros
    fact: EventId
    decision: EventId | None

    @property
    def is_decided(self) -> bool:
        """Whether a person said so."""
        return self.decision is not None


def stays_of(
    vehicle: VehicleId, passages: Iterable[Sequence[Passage]], pins: Mapping[SessionId, Pin], merges: Sequence[Merge] = ()
) -> list[Stay]:
    """The stays of a vehicle in the order in which they begin; none of them overlap.

    Args:
        passages: for each of its names, the passages by time.
        merges: how its names became one.
    """
    denied = frozenset(fact for pin in pins.values() for fact in pin.denied)
    pieces = [piece for of_name in passages for piece in pieces_of(of_name, pins, denied)]
    queue, found = sorted(pieces, key=_begins), list[_Making]()
    while queue:
        piece = queue.pop(0)
        last = found[-1] if found else None
        if last is None or not last.takes(piece):
            found.append(_Making(piece, pins))
        elif (rest := rest_after(piece, last.exit_at)) is not None:
            insort(queue, rest, key=_begins)
    made = zip(found, _own_names(found), strict=True)
    return [_with_merges(one.stay(vehicle, names), merges) for one, names in made]


def _own_names(found: Sequence[_Making]) -> list[tuple[SessionId, ...]]:
    """Each name is of one stay: of the one that is called so, else of the first that it is part of."""
    taken = {one.session for one in found}
    names: list[tuple[SessionId, ...]] = []
    for one in found:
        others = tuple(name for name in dict.fromkeys(one.sessions) if name not in taken)
        taken |= set(others)
        names.append((one.session, *others))
    return names


def _begins(piece: Piece) -> tuple[Micros, EventId]:
    return piece.at, piece.first.fact


class _Making:
    """A stay that grows by the pieces that belong to it."""

    def __init__(self, first: Piece, pins: Mapping[SessionId, Pin]) -> None:
        self._pins = pins
        self._first = first
        self.sessions = list(first.sessions)
        self._passages = [one for one in (first.entry, first.exit) if one is not None]
        self._pinned_exit_at = first.exit_at if first.entry is not None and first.pinned_exit_at is not None else None
        self.exit_at = first.exit_at
        self._portal_out = first.exit.portal if first.exit is not None else None

    def takes(self, piece: Piece) -> bool:
        """Take a later piece in, if it is of the same stay: it began inside, or is the exit that was missing."""
        if self._first.entry is None or (self.exit_at is not None and piece.at >= self.exit_at and not self._is_end(piece)):
            return False
        self.sessions += piece.sessions
        if piece.is_again:
            return True
        if piece.entry is not None:
            self._passages.append(piece.entry)
        if piece.exit is not None:
            self._passages.append(piece.exit)
        ends_at = piece.exit_at
        if self._pinned_exit_at is None and ends_at is not None and (self.exit_at is None or ends_at > self.exit_at):
            self.exit_at, self._portal_out = ends_at, piece.exit.portal if piece.exit is not None else self._portal_out
        return True

    def _is_end(self, piece: Piece) -> bool:
        """An exit that is seen of whom a person said that it had left is that exit."""
        is_seen = any(one.direction == "out" for one in self._passages)
        return piece.entry is None and self._pinned_exit_at is not None and not is_seen

    @property
    def session(self) -> SessionId:
        """What it is called."""
        return self._first.first.session

    def stay(self, vehicle: VehicleId, names: tuple[SessionId, ...]) -> Stay:
        """What has come together, and what was decided about it under its own names."""
        pins = [self._pins[one] for one in names if one in self._pins]
        entry, exits = self._first.entry, [one for one in self._passages if one.direction == "out"]
        return Stay(
            session=self.session,
            vehicle=vehicle,
            status="orphan" if entry is None else "open" if self.exit_at is None else "closed",
            entry_at=None if entry is None else entry.at,
            exit_at=self.exit_at,
            portal_in=None if entry is None else entry.portal,
            portal_out=None if self.exit_at is None else self._portal_out,
            confidence=0.0 if entry is None else right_share(min(one.certainty for one in self._passages)),
            flags=_flags(self._passages),
            evidence=(*(one.fact for one in self._passages), *(one for pin in pins for one in pin.evidence)),
            exits=tuple(one.fact for one in exits),
            is_waived=any(pin.is_waived for pin in pins),
            pinned_at=max((pin.at for pin in pins if pin.at), default=None),
            plate=max(((pin.plate_at, pin.plate) for pin in pins if pin.plate is not None), default=(0, None))[1],
            sessions=names,
        )


def _flags(passages: Sequence[Passage]) -> tuple[SessionFlag, ...]:
    """A crossing that is not sure makes the stay one to be looked at."""
    flags: set[SessionFlag] = {flag for one in passages for flag in one.flags}
    if flags or any(one.certainty < UNSURE for one in passages):
        flags.add("unverified")
    return tuple(sorted(flags))


def _with_merges(stay: Stay, merges: Sequence[Merge]) -> Stay:
    """A stay that was not over when two names became one rests on that too, and is in doubt unless a person said so."""
    if stay.status == "orphan":
        return stay
    touched = [one for one in merges if stay.exit_at is None or stay.exit_at >= one.at]
    doubt: set[SessionFlag] = set() if all(one.is_decided for one in touched) else {"ambiguous_identity", "unverified"}
    evidence = (*stay.evidence, *(one.fact for one in touched))
    return replace(stay, flags=tuple(sorted({*stay.flags, *doubt})), evidence=evidence)
