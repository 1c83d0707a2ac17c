"""Follows the fact log and saves graphs for the timeline as it grows."""

from __future__ import annotations

import asyncio
import logging

from twin.errors import TwinError
from twin.events.ids import SECOND, Micros
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.timeline import KIND, Timeline

SETTLE: Micros = 75 * SECOND
"""Facts as old as this rarely change any more: the fold's horizon, its wait, its slices, and what it tells of before."""
RETRY_S = (0.1, 0.5, 1.0, 5.0)

_logger = logging.getLogger(__name__)


class SnapshotRunner:
    """Saves a graph each ``every`` facts, as it was ``settle`` before the latest fact, so that few late facts disturb it."""

    def __init__(self, log: Log, timeline: Timeline, *, every: int = 2_000, settle: Micros = SETTLE) -> None:
        self._log = log
        self._timeline = timeline
        self._every = every
        self._settle = settle
        self._latest_at: Micros = 0
        self._saved = 0

    async def run(self) -> None:
        """Follow until cancelled or the log closes; after a failed save it tries again at the next batch.

        Raises:
            TwinError: saving failed as often as ``RETRY_S`` allows in a row.
        """
        failures = 0
        newest = await self._log.load_snapshots(self._timeline.site.name, KIND, self._timeline.version, until_position=2**62)
        begins = (await self._log.cuts(self._timeline.site.name)).movement
        self._saved = max((snapshot.position for snapshot in newest), default=0)
        self._saved = max(self._saved, begins)
        async for facts in self._log.tail_facts(self._timeline.site.name, after=self._saved):
            self._latest_at = max(self._latest_at, *(fact.event.occurred_at for fact in facts))
            if facts[-1].position - self._saved < self._every:
                continue
            try:
                await self.save(facts[-1].position)
                failures = 0
            except TwinError as error:
                if failures == len(RETRY_S):
                    raise
                _logger.warning("graph snapshot of site '%s' not saved: %s", self._timeline.site.name, error)
                await asyncio.sleep(RETRY_S[failures])
                failures += 1

    async def save(self, position: int) -> None:
        """Save the graph as known at a position."""
        made = (await self._log.cuts(self._timeline.site.name)).thinning
        at = self._latest_at - self._settle
        moment = Moment(at=at if made is None else max(at, made.from_at), known_at=position)
        await self._log.save_snapshot(await self._timeline.snapshot(moment))
        self._saved = position
