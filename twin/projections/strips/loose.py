"""A strip taken apart, to be changed and put together again."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from twin.events.ids import Micros
from twin.graph.flat import BLANK, FlatGraph
from twin.projections.strips.strip import NEVER, CameraRow, Held, SessionRow, StallRow, Strip, Thing, VehicleRow
from twin.projections.strips.things import Rows, newest_after, rows_after, thing_of, trimmed

_THINGS_AT_ONCE = 50
_KINDS = {"vehicle": "vehicles", "stall": "stalls", "camera": "cameras", "session": "sessions"}
_ROWS: dict[str, Any] = {"vehicle": VehicleRow, "stall": StallRow, "camera": CameraRow, "session": SessionRow}


class Carried:
    """What things are at the end of a strip, and the time of the newest fact there."""

    def __init__(self, rows: dict[Thing, Rows], newest: Rows) -> None:
        self.rows = rows
        self.newest = newest

    def unlike(self, before: Carried) -> Carried | None:
        """What is not as it was before; None where all is."""
        rows = {thing: now for thing, now in self.rows.items() if now != before.rows.get(thing, ())}
        return Carried(rows, self.newest) if rows or self.newest != before.newest else None


class Loose:
    """A strip by thing."""

    def __init__(self, strip: Strip, scratch: FlatGraph) -> None:
        self.at, self.until_at, self.position = strip.at, strip.until_at, strip.position
        self.newest: Rows = tuple(strip.newest)
        self.facts = list(strip.facts)
        self.rows: dict[Thing, Rows] = {}
        self._scratch = scratch
        for kind, name in _KINDS.items():
            found = defaultdict[str, list[tuple[int, Any]]](list)
            for row in getattr(strip, name):
                found[row.name].append((row.position, row.now))
            self.rows |= {(kind, one): tuple(rows) for one, rows in found.items()}

    def touched(self, carried: Carried | None, facts: Iterable[Held], until: Mapping[int, int]) -> set[Thing]:
        """The things that these change."""
        found = set(carried.rows) if carried is not None else set[Thing]()
        found |= {thing_of(one.payload) for one in facts if one.payload is not None}
        if until:
            found |= {thing_of(one.payload) for one in self.facts if one.position in until and one.payload is not None}
        return found

    def begin(self, carried: Carried | None) -> None:
        """Set what these things are at the beginning."""
        if carried is None:
            return
        for thing, rows in carried.rows.items():
            self._set(thing, rows)
        self.newest = carried.newest

    def take(self, facts: Iterable[Held], until: Mapping[int, int]) -> None:
        """Take facts in, and from which positions on which are not true any more."""
        stored = {one.position for one in self.facts}
        self.facts += (one for one in facts if one.position not in stored)
        self.facts.sort(key=_order)
        if until:
            self.facts = [
                replace(one, until=by) if (by := until.get(one.position, NEVER)) < one.until else one for one in self.facts
            ]

    async def carried(self, things: Iterable[Thing], begins: int, facts: Sequence[Held] | None = None) -> Carried:
        """What these things are after the strip's facts (or these), for positions from ``begins`` on."""
        told = self.facts if facts is None else facts
        facts_of: dict[Thing, list[Held]] = {thing: [] for thing in things}
        for one in told:
            if one.payload is not None and (mine := facts_of.get(thing_of(one.payload))) is not None:
                mine.append(one)
        rows = dict[Thing, Rows]()
        for n, (thing, mine) in enumerate(facts_of.items(), 1):
            rows[thing] = await rows_after(thing, self.rows.get(thing, ()), mine, begins, self._scratch)
            if n % _THINGS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return Carried(rows, newest_after(self.newest, told, begins))

    async def split(self, n_facts: int, begins: int) -> Loose:
        """Keep the first facts; gives the strip that goes on from there."""
        kept, later = self.facts[:n_facts], self.facts[n_facts:]
        touched = {thing_of(one.payload) for one in kept if one.payload is not None}
        carried = await self.carried(touched, begins, kept)
        at = kept[-1].occurred_at
        empty = Strip(
            at=at, until_at=self.until_at, position=begins, built_to=0,
            newest=[], vehicles=[], stalls=[], cameras=[], sessions=[], facts=later,
        )  # fmt: skip
        after = Loose(empty, self._scratch)
        for thing, rows in self.rows.items():
            if thing not in touched:
                after._set(thing, trimmed(rows, begins, BLANK.get(thing[0])))
        after.begin(carried)
        self.facts, self.until_at = kept, at
        return after

    def strip(self, built_to: int) -> Strip:
        """Together again."""
        by_kind: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
        for (kind, name), rows in sorted(self.rows.items(), key=_thing):
            by_kind[kind] += (_ROWS[kind](name, position, now) for position, now in rows)
        return Strip(
            at=self.at,
            until_at=self.until_at,
            position=self.position,
            built_to=built_to,
            newest=list(self.newest),
            facts=self.facts,
            **{_KINDS[kind]: rows for kind, rows in by_kind.items()},
        )

    def _set(self, thing: Thing, rows: Rows) -> None:
        if rows:
            self.rows[thing] = rows
        else:
            self.rows.pop(thing, None)


def _order(one: Held) -> tuple[Micros, int]:
    return one.occurred_at, one.position


def _thing(item: tuple[Thing, Rows]) -> Thing:
    return item[0]
