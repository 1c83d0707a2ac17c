"""Gathers the facts of one step, gives them their ids, and lets the rules answer each at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from twin.events.envelope import FactEvent
from twin.events.facts import Fact
from twin.events.ids import EventId, Micros, SiteId

React = Callable[[FactEvent], list[tuple[Micros, Fact]]]
"""What the rules conclude from a fact."""


def unanswered(_: FactEvent) -> list[tuple[Micros, Fact]]:
    """No rules: nothing follows from a fact."""
    return []


class Recall(Protocol):
    """What was said before of the time that is fused again."""

    def find(self, at: Micros, fact: Fact, supersedes: tuple[EventId, ...]) -> FactEvent | None:
        """The same, if it was said; it is not given twice."""
        ...


class Emission:
    """The facts triggered by one observation, in order.

    Attributes:
        facts: the new ones, and what the rules answered.
        concluded: without the answers, and with what was said before and is concluded again.
    """

    def __init__(
        self,
        site: SiteId,
        fold_version: str,
        cause: int,
        react: React,
        *,
        after: int = 0,
        recall: Recall | None = None,
        renamed: Mapping[EventId, EventId] | None = None,
    ) -> None:
        self._site = site
        self._fold_version = fold_version
        self._cause = cause
        self._react = react
        self._after = after  # facts that the same observation triggered before these
        self._recall = recall
        self._renamed: Mapping[EventId, EventId] = renamed or {}
        self.facts: list[FactEvent] = []
        self.concluded: list[FactEvent] = []

    def emit(self, at: Micros, fact: Fact, *, supersedes: tuple[EventId, ...] = ()) -> EventId:
        """Add a fact and what the rules conclude from it; returns the fact's id."""
        event = self._add(at, fact, tuple(self._renamed.get(one, one) for one in supersedes))
        for concluded_at, answer in self._react(event):
            self.new(concluded_at, answer, ())
        return event.id

    def _add(self, at: Micros, fact: Fact, supersedes: tuple[EventId, ...]) -> FactEvent:
        event = None if self._recall is None else self._recall.find(at, fact, supersedes)
        if event is None:
            event = self.new(at, fact, supersedes)
        self.concluded.append(event)
        return event

    def new(self, at: Micros, fact: Fact, supersedes: tuple[EventId, ...]) -> FactEvent:
        """Add a fact from which nothing follows."""
        event = FactEvent(
            site=self._site,
            fold_version=self._fold_version,
            cause=self._cause,
            ordinal=self._after + len(self.facts),
            occurred_at=at,
            payload=fact,
            supersedes=supersedes,
        )
        self.facts.append(event)
        return event
