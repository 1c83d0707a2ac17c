"""Facts on their way from the log into strips: read by position, sorted to the strips of their times."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from twin.errors import CodecError
from twin.events.envelope import RecordedFact
from twin.events.facts import Fact
from twin.events.ids import Micros, SiteId
from twin.graph.flat import FlatGraph
from twin.log.port import Log, Superseded
from twin.projections.strips.counts import Note
from twin.projections.strips.shelf import Directory
from twin.projections.strips.strip import Held
from twin.projections.strips.things import held

_MOST_DEFERRED = 50_000
_RECENT = 4
_PAGE = 5_000


class Taken(NamedTuple):
    """What is to be put into strips, by the number of the strip, and notes of what is counted.

    ``until`` has the positions of facts that are not true any more, and from which position on.
    """

    fresh: Mapping[int, list[Held]]
    until: Mapping[int, dict[int, int]]
    notes: list[Note]


class Intake:
    """Reads what is new of a site, and remembers what is deferred.

    Args:
        changes: what a fact changes of counts, as ``Counts.changes`` says it.

    Attributes:
        read_to: the last position that was read.
    """

    def __init__(self, log: Log, site: SiteId, blank: FlatGraph, changes: Callable[[Fact], Iterable[tuple[int, int]]]) -> None:
        self.read_to = 0
        self._log = log
        self._site = site
        self._blank = blank
        self._changes = changes
        self._deferred: list[Held] = []
        self._deferred_until: list[Superseded] = []

    @property
    def is_whole(self) -> bool:
        """Whether nothing is deferred."""
        return not self._deferred and not self._deferred_until

    async def read(self, directory: Directory, to: int, *, defers: bool) -> Taken:
        """What came after the last that was read or built, up to a position.

        Args:
            defers: leave facts for strips of long ago for later, so that each strip is opened once for many of them.

        Raises:
            CodecError: a fact is of before the first strip.
        """
        after = max(directory.built_to, self.read_to)
        facts, notes = await self._facts(after, to)
        corrected = await self._log.facts_superseded(self._site, after=after, until=to)
        notes += await self._taken_back({one.position: one.by_position for one in reversed(corrected)})
        facts, corrected = self._deferred + facts, self._deferred_until + corrected
        self._deferred, self._deferred_until = [], []
        if defers and len(facts) - (to - after) < _MOST_DEFERRED:
            facts, corrected = self._later(directory, facts, corrected)
        self.read_to = to
        return Taken(*_by_window(directory, facts, corrected), notes)

    async def _facts(self, after: int, to: int) -> tuple[list[Held], list[Note]]:
        facts, notes = list[Held](), list[Note]()
        while after < to:
            page = await self._log.facts(self._site, after=after, limit=min(_PAGE, to - after), thinned=True)
            page = [one for one in page if one.position <= to]
            facts += (held(one, self._blank) for one in page)
            notes += (note for one in page for note in self._notes(one))
            after = page[-1].position if page else to
        return facts, notes

    def _later(
        self, directory: Directory, facts: list[Held], corrected: list[Superseded]
    ) -> tuple[list[Held], list[Superseded]]:
        """Defer what is of long ago; gives the rest."""
        begins = directory.windows[max(0, len(directory.windows) - _RECENT)].at
        self._deferred = [one for one in facts if one.occurred_at <= begins]
        self._deferred_until = [one for one in corrected if one.occurred_at <= begins]
        return [one for one in facts if one.occurred_at > begins], [one for one in corrected if one.occurred_at > begins]

    def _notes(self, one: RecordedFact) -> list[Note]:
        at = one.event.occurred_at
        return [(one.position, at, count, by) for count, by in self._changes(one.event.payload)]

    async def _taken_back(self, by_position: dict[int, int]) -> list[Note]:
        """Notes of what is not true any more."""
        wanted = sorted(by_position)
        found = list[Note]()
        for start in range(0, len(wanted), _PAGE):
            for one in await self._log.facts_at(self._site, wanted[start : start + _PAGE]):
                found += ((by_position[one.position], at, count, -by) for _, at, count, by in self._notes(one))
        return found


def _by_window(
    directory: Directory, facts: list[Held], corrected: list[Superseded]
) -> tuple[Mapping[int, list[Held]], Mapping[int, dict[int, int]]]:
    """Facts, and from where on which are not true any more, by the strip that they are of."""
    fresh, until = defaultdict[int, list[Held]](list), defaultdict[int, dict[int, int]](dict)
    for one in facts:
        fresh[_window_of(directory, one.occurred_at)].append(one)
    for one in corrected:
        until[_window_of(directory, one.occurred_at)].setdefault(one.position, one.by_position)
    if -1 in until or -1 in fresh:
        raise CodecError("a fact came of before what retention left")
    return fresh, until


def _window_of(directory: Directory, at: Micros) -> int:
    return bisect_left(directory.windows, at, key=lambda one: one.at) - 1
