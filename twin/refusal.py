"""Answers a request to fuse again, wherever it stands in the log, with the observations that it needs, read again.

The answer depends on the log alone: which kept state it goes back to changes how long it takes, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from twin.errors import Cut
from twin.events.codec import rfc3339
from twin.events.envelope import FactEvent, RecordedObservation
from twin.events.ids import Micros, SiteId
from twin.events.observations import Personal, RefuseRequested
from twin.fold_state import SNAPSHOT_KIND, SiteFold, StateT, latest_state, version_of
from twin.log.keys import KeyRing
from twin.log.port import Log
from twin.log.sealing import personal_of

_PAGE = 1000


@runtime_checkable
class Refusing(SiteFold[StateT], Protocol[StateT]):
    """A fold that can go back."""

    def knows_until(self, state: StateT) -> Micros:
        """From this time on nothing came too late yet: what the state closed until."""
        ...

    def remembering(
        self, state: StateT, recorded: RecordedObservation, personal: Personal | None
    ) -> tuple[StateT, tuple[FactEvent, ...]]:
        """As ``step``, and what ``step`` would forget is kept."""
        ...

    def unfused(self, state: StateT, recorded: RecordedObservation, personal: Personal | None) -> Any:
        """The next observation in its place in time, if it comes too late for ``step``; else None."""
        ...

    def refuse(
        self, state: StateT, unfused: Iterable[Any], recorded: RecordedObservation, *, forgets: bool = True
    ) -> tuple[StateT, tuple[FactEvent, ...]]:
        """Answer a request to fuse again; ``state`` remembers all since the time that it names."""
        ...


_logger = logging.getLogger(__name__)


async def stepped(
    log: Log, keys: KeyRing, fold: SiteFold[Any], state: Any, recorded: RecordedObservation, *, is_committed: bool = False
) -> tuple[Any, tuple[FactEvent, ...]]:
    """The next state and its facts, as ``SiteFold.step``, also where the observation asks to fuse again.

    Args:
        is_committed: its facts are stored: where retention has since cut what it needs, the state goes on without.

    Raises:
        Cut: it needs observations that retention has cut.
    """
    if not isinstance(recorded.event.payload, RefuseRequested) or not isinstance(fold, Refusing):
        return fold.step(state, recorded, await personal_of(keys, recorded.event))
    try:
        return await _refused(log, keys, fold, recorded, recorded.event.payload.from_at)
    except Cut as gone:
        if not is_committed:
            raise
        _logger.warning(
            "site %s: after position %d what was fused again is not known: %s", fold.site.name, recorded.position, gone
        )
        return fold.step(state, recorded, None)


async def state_at(
    log: Log, keys: KeyRing, fold: SiteFold[StateT], position: int, told: Callable[[int, int], None] | None = None
) -> StateT:
    """The fold after an observation, from the newest state before it; raises as ``latest_state``.

    Args:
        told: is told how far it is, and how far it is to come, at each page of observations.
    """
    after, state = await latest_state(log, fold, until=position)
    while after < position:
        for recorded in await log.observations(fold.site.name, after=after, limit=min(_PAGE, position - after)):
            state, _ = await stepped(log, keys, fold, state, recorded, is_committed=True)
            after = recorded.position
            await asyncio.sleep(0)
        if told is not None:
            told(after, position)
    return state


async def is_asked(log: Log, site: SiteId, *, after: int) -> bool:
    """Whether a request stands after a position; what it needs must stay until it is answered."""
    while found := await log.observations(site, after=after, limit=_PAGE):
        if any(isinstance(one.event.payload, RefuseRequested) for one in found):
            return True
        after = found[-1].position
    return False


async def base_of(log: Log, fold: Refusing[Any], *, before: int, from_at: Micros) -> tuple[int, Any]:
    """The newest kept state before a position that reaches back to a time, and where it stands.

    Raises:
        Cut: there is none: the log begins later.
    """
    site, until = fold.site.name, before - 1
    anchor = (await log.cuts(site)).anchor
    begin = 0 if anchor is None else anchor.position
    while until > begin:
        found = await log.load_snapshots(site, SNAPSHOT_KIND, version_of(fold), until_position=until, limit=1)
        if not found or found[0].position <= begin:
            break
        state = fold.unpack(found[0].body)
        if fold.knows_until(state) <= from_at:
            return found[0].position, state
        until = found[0].position - 1
    if anchor is None:
        return 0, fold.initial()
    if anchor.version == version_of(fold) and anchor.position < before:
        state = fold.unpack(anchor.state)
        if fold.knows_until(state) <= from_at:
            return anchor.position, state
    raise _cut(site, from_at, begin)


async def _refused(
    log: Log, keys: KeyRing, fold: Refusing[Any], request: RecordedObservation, from_at: Micros
) -> tuple[Any, tuple[FactEvent, ...]]:
    after, state = await base_of(log, fold, before=request.position, from_at=from_at)
    base_at = fold.knows_until(state)
    unfused: list[Any] = []
    while after < request.position - 1:
        limit = min(_PAGE, request.position - 1 - after)
        for recorded in await log.observations(fold.site.name, after=after, limit=limit):
            payload = recorded.event.payload
            if isinstance(payload, RefuseRequested):
                if payload.from_at < base_at:  # it went back further, and so must this
                    return await _refused(log, keys, fold, request, payload.from_at)
                state, _ = fold.refuse(state, unfused, recorded, forgets=False)
            else:
                personal = await personal_of(keys, recorded.event)
                if (one := fold.unfused(state, recorded, personal)) is not None:
                    unfused.append(one)
                state, _ = fold.remembering(state, recorded, personal)
            after = recorded.position
            await asyncio.sleep(0)
    return fold.refuse(state, unfused, request)


def _cut(site: SiteId, from_at: Micros, begin: int) -> Cut:
    return Cut(
        f"the observations of site '{site}' that would be fused again from {rfc3339(from_at)} on are cut up to {begin};"
        " ask for a later time"
    )
