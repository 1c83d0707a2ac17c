"""Retention: cuts a site's observations at an anchor, and takes old movement facts, as long as nothing still rests on them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from twin.errors import LogClosed, TwinError
from twin.events.envelope import RecordedFact
from twin.events.facts import (
    VehicleConfirmed,
    VehicleDismissed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.ids import SECOND, Micros, SiteId, VehicleId
from twin.feeds.delivery import acknowledged_to
from twin.fold_state import SNAPSHOT_KIND, SiteFold, version_of
from twin.log.clock import Clock, system_clock
from twin.log.cuts import MOVEMENT, wants_movement
from twin.log.keys import KeyRing
from twin.log.port import Log, Snapshot
from twin.log.subscriptions import SubscriptionStore
from twin.projections.moment import FOREVER, Moment
from twin.projections.net import net_facts
from twin.projections.strips.shelf import STRIP_KIND
from twin.projections.timeline import KIND as GRAPH_KIND
from twin.refusal import is_asked, state_at

CANDIDATE_KIND = "anchor"
"""Snapshots of the fold that are kept until retention comes to them."""

_N_CANDIDATES = 24
_MARGIN: Micros = 60 * SECOND
_PAGE = 5_000
_DAY: Micros = 86_400 * SECOND

_logger = logging.getLogger(__name__)


class Keep(Struct, frozen=True, kw_only=True):
    """How many days after they were recorded observations and movement facts are kept; None: for good."""

    observations_days: float | None = None
    movement_days: float | None = None


class Trimmed(Struct, frozen=True, kw_only=True):
    """What a site's logs lost, or would lose.

    Attributes:
        observations: the last observation that is cut.
        movement: the fact position up to which movement is cut.
        from_at: the first valid time of which the site's state is still known; None while no movement is cut.
        n_left: movement facts up to ``movement`` that stay, because a later state rests on them.
        held_by: the subscription that has yet to see movement, so that it stays.
    """

    site: SiteId
    observations: int
    movement: int
    from_at: Micros | None = None
    n_left: int = 0
    held_by: str | None = None


class Retention:
    """Cuts one site's logs; any number of times, from any process that may write them.

    Args:
        margin: how long before the newest fact states stay known whatever is cut; readers of the present go back by some
            seconds.
    """

    def __init__(
        self,
        log: Log,
        keys: KeyRing,
        fold: SiteFold[Any],
        subscriptions: SubscriptionStore,
        *,
        clock: Clock = system_clock,
        margin: Micros = _MARGIN,
    ) -> None:
        self._log = log
        self._keys = keys
        self._fold = fold
        self._subscriptions = subscriptions
        self._clock = clock
        self._margin = margin
        self._site = fold.site.name

    async def run(self, keep: Keep, *, every_s: float) -> None:
        """Trim at an interval, at the states that the fold saved on its way, until cancelled or the log closes."""
        while True:
            try:
                await self._log.sweep(self._site)
                await self._save_candidate(keep)
                await self._trim_at_candidates(keep)
            except LogClosed:
                return
            except TwinError as wrong:
                _logger.warning("site %s was not trimmed: %s", self._site, wrong)
            await asyncio.sleep(every_s)

    async def trim(
        self,
        *,
        before: Micros | None,
        movement_before: Micros | None,
        dry_run: bool = False,
        told: Callable[[int, int], None] | None = None,
    ) -> Trimmed:
        """Cut what was recorded before these times; folds from the newest saved state to make the one at the anchor.

        Args:
            told: is told how far the fold is, and how far it is to come.

        Raises:
            FoldMismatch: the fold cannot go on from the anchor that is there.
            DamagedLog: the log is not what was written.
        """
        if not dry_run:
            await self._log.sweep(self._site)
        until = await self._cut_position(before)
        if until > (await self._log.cuts(self._site)).observations and not dry_run:
            state = await state_at(self._log, self._keys, self._fold, until, told)
            await self._cut_observations(until, self._fold.pack(state))
        return await self._trim_movement(movement_before, dry_run=dry_run, observations=until)

    async def _cut_position(self, before: Micros | None) -> int:
        made = (await self._log.cuts(self._site)).observations
        if before is None:
            return made
        cursor = (await self._log.heads(self._site)).cursor
        if await is_asked(self._log, self._site, after=cursor):
            _logger.info("site %s is not trimmed before a request to fuse again is answered", self._site)
            return made
        return max(made, min(cursor, await self._log.observed_at(self._site, before - 1)))

    async def _cut_observations(self, until: int, state: bytes) -> None:
        await self._log.cut_observations(self._site, until=until, version=version_of(self._fold), state=state)
        for kind in (SNAPSHOT_KIND, CANDIDATE_KIND):
            await self._log.drop_snapshots(self._site, kind, below=until)

    async def _trim_at_candidates(self, keep: Keep) -> None:
        now = self._clock()
        if keep.observations_days is not None:
            until = await self._cut_position(now - round(keep.observations_days * _DAY))
            kept = [
                one
                for kind in (CANDIDATE_KIND, SNAPSHOT_KIND)
                for one in await self._log.load_snapshots(
                    self._site, kind, version_of(self._fold), until_position=until, limit=1
                )
            ]
            if kept:
                newest = max(kept, key=lambda one: one.position)
                await self._cut_observations(newest.position, newest.body)
        if keep.movement_days is not None:
            await self._trim_movement(now - round(keep.movement_days * _DAY))

    async def _save_candidate(self, keep: Keep) -> None:
        """Keep one of the fold's snapshots every so often: it is an anchor when it is old enough."""
        if keep.observations_days is None:
            return
        now, version = self._clock(), version_of(self._fold)
        last = await self._log.load_snapshots(self._site, CANDIDATE_KIND, version, until_position=2**62, limit=1)
        if last and now - last[0].at < keep.observations_days * _DAY / _N_CANDIDATES:
            return
        for newest in await self._log.load_snapshots(self._site, SNAPSHOT_KIND, version, until_position=2**62, limit=1):
            candidate = Snapshot(
                site=self._site, kind=CANDIDATE_KIND, version=version, position=newest.position, at=now, body=newest.body
            )
            await self._log.save_snapshot(candidate)

    async def _trim_movement(self, before: Micros | None, *, dry_run: bool = False, observations: int | None = None) -> Trimmed:
        made = await self._log.cuts(self._site)
        seen = made.observations if observations is None else observations
        told = Trimmed(
            site=self._site,
            observations=seen,
            movement=made.movement,
            from_at=made.thinning.from_at if made.thinning else None,
            n_left=len(made.thinning.left) if made.thinning else 0,
        )
        if before is None or (made.anchor is None and not dry_run):
            return told
        until, held_by = await self._movement_until(before, made.anchor.facts if made.anchor and not dry_run else 2**62)
        from_at = await self._from_at(until)
        if until <= made.movement or from_at is None or (told.from_at is not None and from_at <= told.from_at):
            return replace(told, held_by=held_by)
        left = await self._left(until, from_at)
        if not dry_run:
            await self._log.cut_facts(self._site, until=until, from_at=from_at, left=left)
            for kind in (GRAPH_KIND, STRIP_KIND):
                await self._log.drop_snapshots(self._site, kind, below=until)
        return Trimmed(site=self._site, observations=seen, movement=until, from_at=from_at, n_left=len(left), held_by=held_by)

    async def _movement_until(self, before: Micros, most: int) -> tuple[int, str | None]:
        """How far movement may be cut, and the subscription that keeps it from going further."""
        until, held_by = min(await self._log.position_at(self._site, before - 1), most), None
        for name in await self._subscriptions.names(self._site):
            one = await self._subscriptions.load(self._site, name)
            if one is not None and wants_movement(one.filter.types) and acknowledged_to(one) < until:
                until, held_by = acknowledged_to(one), name
        return until, held_by

    async def _from_at(self, until: int) -> Micros | None:
        """A time before every fact that stays, and a margin before the newest."""
        first = await self._log.first_occurred_at(self._site, after=until)
        head = (await self._log.heads(self._site)).facts
        newest = await self._log.facts(self._site, after=head - 1, limit=1, thinned=True)
        if not newest or first is None:
            return None
        return min(first, newest[-1].event.occurred_at - self._margin)

    async def _left(self, until: int, from_at: Micros) -> list[int]:
        """Movement that stays: what a state at ``from_at`` or later rests on, and what is itself a correction."""
        left, runs = set[int](), _Runs()
        moment = Moment(at=from_at, known_at=until)
        async for facts in net_facts(self._log, self._site, moment, types=_MOVING):
            runs.take(facts)
        left |= runs.positions
        later = Moment(at=FOREVER, known_at=until)
        async for facts in net_facts(self._log, self._site, later, after_at=from_at, types=MOVEMENT):
            left |= {fact.position for fact in facts}
        left |= await self._corrections(until)
        return sorted(left)

    async def _corrections(self, until: int) -> set[int]:
        """What such a fact supersedes may be of another type, and would be true again without it."""
        made = (await self._log.cuts(self._site)).thinning
        before = await self._log.facts_at(self._site, made.left) if made else []
        found = {fact.position for fact in before if fact.event.supersedes}
        after = made.position if made else 0
        while after < until and (facts := await self._log.facts(self._site, after=after, limit=_PAGE, types=MOVEMENT)):
            found |= {fact.position for fact in facts if fact.event.supersedes and fact.position <= until}
            after = facts[-1].position
        return found


_MOVING = tuple(
    str(kind.__struct_config__.tag)
    for kind in (VehicleConfirmed, VehicleDismissed, VehicleHidden, VehicleLeft, VehicleMoved, VehicleParked)
)


class _Runs:
    """Of each vehicle on the site: its last movement, and the first of each run, which says since when it moves.

    What was hidden after it moved keeps the speed and the covariance that its last movement told.
    """

    def __init__(self) -> None:
        self._first: dict[VehicleId, set[int]] = {}
        self._last: dict[VehicleId, RecordedFact] = {}
        self._measured: dict[VehicleId, RecordedFact] = {}

    @property
    def positions(self) -> set[int]:
        last = {fact.position for fact in self._measured.values() if isinstance(fact.event.payload, VehicleMoved)}
        return last.union(*self._first.values())

    def take(self, facts: Iterable[RecordedFact]) -> None:
        """Facts about vehicles, in the order in which they occurred."""
        for fact in facts:
            payload = fact.event.payload
            assert isinstance(
                payload, VehicleConfirmed | VehicleDismissed | VehicleHidden | VehicleLeft | VehicleMoved | VehicleParked
            )
            vehicle = payload.vehicle
            if isinstance(payload, VehicleDismissed | VehicleLeft):
                self._first.pop(vehicle, None)
                self._last.pop(vehicle, None)
                self._measured.pop(vehicle, None)
                continue
            if isinstance(payload, VehicleConfirmed):
                self._first.setdefault(vehicle, set())
            if vehicle not in self._first:
                continue  # not on the site: it changes nothing
            before = self._last.get(vehicle)
            if isinstance(payload, VehicleMoved) and not (before and isinstance(before.event.payload, VehicleMoved)):
                self._first[vehicle].add(fact.position)
            self._last[vehicle] = fact
            if not isinstance(payload, VehicleHidden):
                self._measured[vehicle] = fact
