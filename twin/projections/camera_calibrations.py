"""Calibrations of a site's cameras: what the observation log says of them, read when somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import chain

from site_models.schema import Site
from twin.errors import Cut, Overloaded, TooLarge
from twin.events.envelope import RecordedObservation
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
        return _holding(await self.of(camera), at)

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

    async def in_force_as_known(self, camera: CameraId, at: Micros | None, position: int) -> Since | None:
        """As ``in_force``, as it was known when the observation log had reached a position; the answer does not change later.

        Begins at the newest kept state of the fold that is not later, and reads the log from there.

        Raises:
            Cut: the log begins after the position.
            TooLarge: too much of the log lies between the two.
            FoldMismatch: as ``of``.
        """
        if not await self.of(camera):
            return None  # what is not known now was not known before
        site = self._fold.site.name
        until = min(position, (await self._log.heads(site)).cursor)
        begin, state = await latest_state(self._log, self._fold, until=until)
        if position - begin > _MOST_READ:
            raise TooLarge(
                f"{position - begin} observations lie between the nearest kept state of site '{site}' and what was known then;"
                f" the limit is {_MOST_READ}: ask for a later known_at, or leave it out"
            )
        known = dict(state.core.fusion.calibrations)
        async for page in self._pages(begin, position):
            _take(known, page)
        return _holding(known.get(camera, ()), at)

    async def position_known(self, known_at: int) -> int:
        """Where the observation log was when the twin knew a fact; raises Cut where retention took the fact."""
        if known_at == 0:
            return 0
        site = self._fold.site.name
        found = await self._log.facts_at(site, [known_at])
        if not found:
            raise Cut(f"fact {known_at} of site '{site}' is not kept any more; ask with a time as known_at, or later")
        return found[0].event.cause

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
        async for page in self._pages(self._read_to, heads.observations):
            _take(self._known, page)
            self._read_to = page[-1].position

    async def _pages(self, after: int, until: int) -> AsyncIterator[list[RecordedObservation]]:
        """Observations (``after``, ``until``]."""
        while after < until:
            page = await self._log.observations(self._fold.site.name, after=after, limit=min(_PAGE, until - after))
            if not page:
                return
            yield page
            after = page[-1].position


def _holding(known: Sequence[Since], at: Micros | None) -> Since | None:
    """The one that holds at a time, of some in order of time."""
    return next((one for one in reversed(known) if at is None or one[0] <= at), None)


def _take(known: dict[CameraId, tuple[Since, ...]], page: Sequence[RecordedObservation]) -> None:
    """As the fold does: by time, of two of one time the later told."""
    for one in page:
        made = one.event.payload
        if isinstance(made, CameraCalibrated):
            of_camera = chain(known.get(made.camera, ()), [(one.event.occurred_at, made)])
            known[made.camera] = tuple(sorted(of_camera, key=lambda each: each[0]))
