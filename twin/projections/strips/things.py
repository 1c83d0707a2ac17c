"""What one thing is - a vehicle, stall, camera or stay - by what is known: the fold of its own facts at every position."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from twin.events.envelope import RecordedFact
from twin.events.facts import (
    CameraStateChanged,
    IdentitiesMerged,
    SessionAmended,
    SessionClosed,
    SessionOpened,
    StallChanged,
    VehicleMoved,
)
from twin.events.ids import Micros
from twin.graph.apply import change
from twin.graph.flat import BLANK, FlatGraph
from twin.projections.strips.strip import NEVER, Held, Shown, Thing

_FOLDED_AT_ONCE = 5_000

Rows = tuple[tuple[int, Any], ...]
"""Position from which on something is the answer, and that; sorted. Before the first, and without any, it is as it began."""


def thing_of(payload: Shown) -> Thing:
    """What a fact changes."""
    if isinstance(payload, StallChanged):
        return ("stall", payload.stall)
    if isinstance(payload, CameraStateChanged):
        return ("camera", payload.camera)
    if isinstance(payload, SessionOpened | SessionClosed | SessionAmended):
        return ("session", payload.session)
    return ("vehicle", payload.merged if isinstance(payload, IdentitiesMerged) else payload.vehicle)


def held(recorded: RecordedFact, model: FlatGraph) -> Held:
    """A fact as strips keep it, without evidence; what the site's model does not have changes nothing."""
    payload = recorded.event.payload
    shown = payload if isinstance(payload, Shown) else None
    if shown is not None:
        kind, name = thing_of(shown)
        if kind in BLANK and model.now(kind, name) is None:
            shown = None
    if shown is not None and getattr(shown, "evidence", ()):
        shown = replace(shown, evidence=())
    moves = shown.vehicle if isinstance(shown, VehicleMoved) else ""
    return Held(recorded.event.occurred_at, recorded.position, NEVER, moves, shown)


async def rows_after(thing: Thing, rows: Rows, facts: Sequence[Held], begins: int, scratch: FlatGraph) -> Rows:
    """What a thing is after these facts, which are all of it in a strip, for every position from ``begins`` on.

    The facts are folded once a position, so that many late ones take long: others of the process get their turn meanwhile.

    Args:
        rows: what it was before them.
    """
    positions = {begins, *(position for position, _ in rows if position > begins)}
    for one in facts:
        positions |= {turn for turn in (one.position, one.until) if begins < turn < NEVER}
    found = list[tuple[int, Any]]()
    blank = BLANK.get(thing[0])
    last, n_folded = blank, 0
    for position in sorted(positions):
        n_folded += len(facts)
        if n_folded >= _FOLDED_AT_ONCE:
            n_folded = 0
            await asyncio.sleep(0)
        now = _folded(thing, at_position(rows, position, blank), facts, position, scratch)
        if now != last:
            found.append((position, now))
            last = now
    return tuple(found)


def at_position(rows: Rows, position: int, blank: Any) -> Any:
    """What is the answer at a position."""
    place = bisect_right(rows, position, key=_first)
    return rows[place - 1][1] if place else blank


def trimmed(rows: Rows, begins: int, blank: Any) -> Rows:
    """The rows without what was the answer only before a position."""
    if len(rows) < 2 and (not rows or rows[0][0] <= begins):
        return rows if rows and rows[0][1] != blank else ()
    before = at_position(rows, begins, blank)
    later = tuple(row for row in rows if row[0] > begins)
    if before != blank:
        return ((begins, before), *later)
    return later


def newest_after(rows: Rows, facts: Sequence[Held], begins: int) -> Rows:
    """As ``rows_after``, of the time of the newest fact; ``facts`` are all of a strip."""
    ending = list[Held]()
    for one in reversed(facts):
        ending.append(one)
        if one.position <= begins and one.until == NEVER:
            break
    positions = {begins, *(position for position, _ in rows if position > begins)}
    for one in ending:
        positions |= {turn for turn in (one.position, one.until) if begins < turn < NEVER}
    found, last = list[tuple[int, Micros]](), 0
    for position in sorted(positions):
        now = next((one.occurred_at for one in ending if one.is_known(position)), None)
        now = at_position(rows, position, 0) if now is None else max(0, now)
        if now != last:
            found.append((position, now))
            last = now
    return tuple(found)


def _folded(thing: Thing, now: Any, facts: Sequence[Held], position: int, scratch: FlatGraph) -> Any:
    kind, name = thing
    if now is None:
        scratch.drop(kind, name)
    else:
        scratch.put(kind, name, now)
    for one in facts:
        if one.payload is not None and one.position <= position < one.until:
            change(scratch, one.payload, one.occurred_at)
    return scratch.now(kind, name)


def _first(row: tuple[int, Any]) -> int:
    return row[0]
