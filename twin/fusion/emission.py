"""Gathers the facts of one step, gives them their ids, and lets the rules answer each at once."""

from __future__ import annotations

from collections.abc import Callable

from twin.events.envelope import FactEvent
from twin.events.facts import Fact
from twin.events.ids import EventId, Micros, SiteId

React = Callable[[FactEvent], list[tuple[Micros, Fact]]]
"""What the rules conclude from a fact."""


class Emission:
    """The facts triggered by one observation, in order."""

    def __init__(self, site: SiteId, fold_version: str, cause: int, react: React) -> None:
        self._site = site
        self._fold_version = fold_version
        self._cause = cause
        self._react = react
        self.facts: list[FactEvent] = []

    def emit(self, at: Micros, fact: Fact, *, supersedes: tuple[EventId, ...] = ()) -> EventId:
        """Add a fact and what the rules conclude from it; returns the fact's id."""
        event = self._add(at, fact, supersedes)
        for concluded_at, concluded in self._react(event):
            self._add(concluded_at, concluded, ())
        return event.id

    def new_name(self, prefix: str) -> str:
        """A short name that the cause and the place among its facts determine."""
        return f"{prefix}-{self._cause:x}-{len(self.facts):x}"

    def _add(self, at: Micros, fact: Fact, supersedes: tuple[EventId, ...]) -> FactEvent:
        event = FactEvent(
            site=self._site,
            fold_version=self._fold_version,
            cause=self._cause,
            ordinal=len(self.facts),
            occurred_at=at,
            payload=fact,
            supersedes=supersedes,
        )
        self.facts.append(event)
        return event
