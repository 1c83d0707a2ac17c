"""What sensors and run files need of a source of ground truth."""

from __future__ import annotations

from typing import Protocol

from perception.synthetic.truth import TruthFrame, Visit
from site_models.schema import StallId
from twin.events.ids import Micros


class TrafficSource(Protocol):
    """Ground truth of a site, generated forward in time."""

    @property
    def usable_stalls(self) -> tuple[StallId, ...]:
        """Stalls that can be reached and left; the others stay empty."""
        ...

    def advance(self, until_at: Micros) -> None:
        """Generate up to a time; what was before the last call's time is forgotten."""
        ...

    def at(self, at: Micros) -> TruthFrame:
        """The truth at a time from the last but one time that ``advance`` was given up to the last."""
        ...

    def take_visits(self) -> list[Visit]:
        """Visits that ended since the last call, in the order of their ends."""
        ...

    def open_visits(self) -> list[Visit]:
        """Visits in progress."""
        ...
