"""Where a strip ends and the next one begins."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from msgspec import Struct

from twin.events.ids import Micros
from twin.projections.strips.loose import Loose
from twin.projections.strips.shelf import Window
from twin.projections.strips.strip import NEVER

_BEGINNING = 64  # facts before a strip; the middle one of their positions is where it begins to be right

Put = Callable[[Loose], Window]
"""Keeps a strip as it is; what it is in the directory."""


class Cutting(Struct, frozen=True):
    """How large strips become.

    Attributes:
        strip_facts: how many facts are in a strip, at least.
        settle: a strip ends so long before the newest fact, at least: later facts are rarely of before.
    """

    strip_facts: int
    settle: Micros

    async def last(self, loose: Loose, window: Window, put: Put) -> list[Window]:
        """The last strip, as one or, where it has facts enough, as several."""
        found = list[Window]()
        while (n_facts := self._n_settled(loose)) is not None:
            begins = max(window.position + 1, _right_from(loose, n_facts))
            after = await loose.split(n_facts, begins)
            found.append(put(loose))
            loose, window = after, Window(after.at, begins, NEVER)
        return [*found, put(loose)]

    async def middle(self, loose: Loose, window: Window, next_position: int, put: Put) -> list[Window]:
        """One in the middle, as one or, where late facts made it twice as large, as several."""
        found = list[Window]()
        while len(loose.facts) > 2 * self.strip_facts:
            n_facts = _n_until(loose, loose.facts[self.strip_facts - 1].occurred_at)
            if n_facts == len(loose.facts):
                break  # all the rest is of one instant
            begins = min(next_position, max(window.position, _right_from(loose, n_facts)))
            after = await loose.split(n_facts, begins)
            found.append(put(loose))
            loose, window = after, Window(after.at, begins, NEVER)
        return [*found, put(loose)]

    def _n_settled(self, loose: Loose) -> int | None:
        """How many facts the last strip keeps when another one begins; None while it has too few."""
        n_facts, facts = self.strip_facts, loose.facts
        if len(facts) <= n_facts:
            return None
        at = facts[n_facts - 1].occurred_at
        if at >= facts[-1].occurred_at - self.settle:
            return None
        return _n_until(loose, at)


def _n_until(loose: Loose, at: Micros) -> int:
    """How many of a strip's facts occurred until a time."""
    return bisect_right(loose.facts, at, key=lambda one: one.occurred_at)


def _right_from(loose: Loose, n_facts: int) -> int:
    """Where a strip that begins after so many facts begins to be right: at the middle one of the last of their positions."""
    places = sorted(one.position for one in loose.facts[max(0, n_facts - _BEGINNING) : n_facts])
    return places[len(places) // 2]
