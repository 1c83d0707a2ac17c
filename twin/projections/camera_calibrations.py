"""Calibrations of a site's cameras: what the observation log says of them, read when somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import chain

from site_models.schema import Site
from twin.errors import Overloaded
from twin.events.ids import CameraId, Micros
from twin.events.observations import CameraCalibrated
from twin.fold_state import latest_state
from twin.log.port import Log
from twin.rules.fold import Fold

_PAGE = 1_000
_FAR = 10_000  # observations: beyond, the newest kept state of the fold is probably nearer
_MOST_READ = 100_000

Since = tuple[Micros, CameraCalibrated]


class CameraCalibrations:
    """Those of one site.

    They are few among very many frames. So the first read begins at the newest kept state of the fold, which has those of
    before; later ones go on from where the last one ended.
    """

    def __init__(self, log: Log, site: Site) -> None:
        self._log = log
        self._fold = Fold(site)
        self._read_to = 0
        self._known: dict[CameraId, tuple[Since, ...]] = {}
        self._turn = asyncio.Lock()

    async def in_force(self, camera: CameraId, at: Micros | None = None) -> Since | None:
        """A camera's calibration at a time (None: the last one known), and from when on it holds; None: as the site has it.

        Raises: as ``of``.
        """
        found = [one for one in await self.of(camera) if at is None or one[0] <= at]
        return found[-1] if found else None

    async def of(self, camera: CameraId) -> tuple[Since, ...]:
        """A camera's calibrations in the order of the times from which on they hold.

        Raises:
            Overloaded: too much of the log is not folded yet to be looked through.
            FoldMismatch: what stands for the cut part of the log is of another fold.
        """
        return (await self.all()).get(camera, ())

    async def all(self) -> Mapping[CameraId, tuple[Since, ...]]:
        """Those of every camera that has any, read once for whoever asks of several; raises as ``of``."""
        async with self._turn:
            await self._read_on()
            return dict(self._known)

    async def _read_on(self) -> None:
        heads = await self._log.heads(self._fold.site.name)
        if heads.observations == self._read_to:
            return
        begin = (await self._log.cuts(self._fold.site.name)).observations  # retention may have cut what is not read yet
        if self._read_to == 0 or self._read_to < begin or heads.observations - self._read_to > _FAR:
            position, state = await latest_state(self._log, self._fold, until=heads.cursor)
            if position > self._read_to:
                self._read_to, self._known = position, dict(state.core.fusion.calibrations)
        if heads.observations - self._read_to > _MOST_READ:
            n_left = heads.observations - self._read_to
            raise Overloaded(f"{n_left} observations are not folded yet, and any may calibrate the camera; try again later")
        while self._read_to < heads.observations:
            page = await self._log.observations(self._fold.site.name, after=self._read_to, limit=_PAGE)
            if not page:
                return
            for one in page:
                if isinstance(one.event.payload, CameraCalibrated):
                    self._take(one.event.occurred_at, one.event.payload)
            self._read_to = page[-1].position

    def _take(self, at: Micros, payload: CameraCalibrated) -> None:
        """As the fold does: by time, of two of one time the later told."""
        known = self._known.get(payload.camera, ())
        self._known[payload.camera] = tuple(sorted(chain(known, [(at, payload)]), key=lambda one: one[0]))
