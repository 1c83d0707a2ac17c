"""Follows the fact log and saves strips of the past for the timeline as it grows."""

from __future__ import annotations

import asyncio
import logging

from twin.errors import TwinError
from twin.log.port import Log
from twin.projections.timeline import KIND, Timeline

EVERY = 500
RETRY_S = (0.1, 0.5, 1.0, 5.0)

_logger = logging.getLogger(__name__)


class SnapshotRunner:
    """Takes what a log holds into strips, and from then on each ``every`` facts at once, so that a strip is seldom written."""

    def __init__(self, log: Log, timeline: Timeline, *, every: int = EVERY) -> None:
        self._log = log
        self._timeline = timeline
        self._every = every

    async def run(self) -> None:
        """Follow until cancelled or the log closes; after a failed save it tries again.

        Raises:
            TwinError: saving failed as often as ``RETRY_S`` allows in a row.
        """
        site = self._timeline.site.name
        await self._save()
        await self._log.drop_snapshots(site, KIND, below=2**62)  # graphs that a release before this one saved
        saved_to = self._timeline.strips.built_to
        async for facts in self._log.tail_facts(site, after=saved_to):
            if facts[-1].position - saved_to >= self._every:
                await self._save()
                saved_to = max(self._timeline.strips.built_to, facts[-1].position)

    async def _save(self) -> None:
        failures = 0
        while True:
            try:
                if not await self._timeline.strips.build():
                    return
                failures = 0
            except TwinError as error:
                if failures == len(RETRY_S):
                    raise
                _logger.warning("past of site '%s' not saved: %s", self._timeline.site.name, error)
                await asyncio.sleep(RETRY_S[failures])
                failures += 1
