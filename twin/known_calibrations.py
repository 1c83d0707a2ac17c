"""Calibrations of cameras that came with the log, as the fold of their site uses them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from twin.errors import TwinError
from twin.events.ids import CameraId, Micros, SiteId
from twin.fold_state import latest_state
from twin.fusion.state import Calibrations
from twin.log.clock import Clock
from twin.log.port import Log
from twin.rules.fold import Fold, FoldState
from twin.service import FusionWorker

READ_EVERY: Micros = 30_000_000

_logger = logging.getLogger(__name__)


class KnownCalibrations:
    """Reads them off the worker that folds the site in this process; where another one does, off the state it saved last.

    Such a state is up to some thousand observations old.
    """

    def __init__(self, log: Log, folds: Mapping[SiteId, Fold], workers: Mapping[SiteId, FusionWorker], clock: Clock) -> None:
        self._log = log
        self._folds = folds
        self._workers = workers
        self._clock = clock
        self._saved: dict[SiteId, tuple[Micros, Mapping[CameraId, Calibrations]]] = {}

    async def of(self, site: SiteId, camera: CameraId) -> Calibrations:
        """From when on each holds, in the order of time; empty where the site model's is the only one."""
        worker = self._workers.get(site)
        state: FoldState | None = None if worker is None else worker.state
        found = await self._read(site) if state is None else state.core.fusion.calibrations
        return found.get(camera, ())

    async def _read(self, site: SiteId) -> Mapping[CameraId, Calibrations]:
        now = self._clock()
        read_at, found = self._saved.get(site, (None, {}))
        if read_at is not None and 0 <= now - read_at < READ_EVERY:
            return found
        self._saved[site] = now, found  # whoever asks meanwhile is answered by what was known
        try:
            heads = await self._log.heads(site)
            _, state = await latest_state(self._log, self._folds[site], until=heads.cursor)
            found = state.core.fusion.calibrations
        except TwinError as wrong:
            _logger.warning("calibrations of site '%s' cannot be read: %s", site, wrong)
        self._saved[site] = now, found
        return found
