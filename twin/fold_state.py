"""What a site's fold is, and the states of it that are kept: snapshots, and the anchor where retention cut the log."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol, TypeVar

from site_models.schema import Site
from twin.errors import Cut, FoldMismatch
from twin.events.envelope import FactEvent, RecordedObservation
from twin.events.observations import Personal
from twin.log.cuts import Anchor
from twin.log.port import Log

SNAPSHOT_KIND = "fusion"

_PAGE = 1000

_logger = logging.getLogger(__name__)

StateT = TypeVar("StateT")


class SiteFold(Protocol[StateT]):
    """A pure fold of one site's observations into facts; ``twin.rules.fold.Fold`` is the real one."""

    @property
    def site(self) -> Site:
        """The site it folds."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same observations could give other facts."""
        ...

    @property
    def config_hash(self) -> str:
        """Of everything besides the observations that its facts depend on."""
        ...

    def initial(self) -> StateT:
        """The state before the first observation."""
        ...

    def step(
        self, state: StateT, recorded: RecordedObservation, personal: Personal | None
    ) -> tuple[StateT, tuple[FactEvent, ...]]:
        """The next state, and the facts that this observation triggered."""
        ...

    def pack(self, state: StateT) -> bytes:
        """A state as bytes."""
        ...

    def unpack(self, body: bytes) -> StateT:
        """The same state again, bit for bit."""
        ...


def version_of(fold: SiteFold[Any]) -> str:
    """What a saved state is filed under: the same fold with the same configuration reads it."""
    return f"{fold.version}:{fold.config_hash}"


async def latest_state(log: Log, fold: SiteFold[StateT], *, until: int) -> tuple[int, StateT]:
    """The newest kept state at or before a position, and where it stands: a snapshot, the anchor, or the beginning.

    Raises:
        Cut: the log begins after ``until``.
        FoldMismatch: only the anchor is left, and another version of the fold made it.
    """
    site = fold.site.name
    anchor = (await log.cuts(site)).anchor
    found = await log.load_snapshots(site, SNAPSHOT_KIND, version_of(fold), until_position=until, limit=1)
    if found and (anchor is None or found[0].position >= anchor.position):
        return found[0].position, await asyncio.to_thread(fold.unpack, found[0].body)
    if anchor is None:
        return 0, fold.initial()
    if anchor.position > until:
        raise Cut(f"the observations of site '{site}' begin after {anchor.position}; the fold at {until} is not known any more")
    return anchor.position, await asyncio.to_thread(_adopted, fold, anchor)


def same_fold(fold: SiteFold[StateT], anchor: Anchor) -> StateT:
    """The anchor's state; raises FoldMismatch where it is of another fold or configuration, and so proves nothing."""
    if anchor.version != version_of(fold):
        raise FoldMismatch(
            f"the observations of site '{fold.site.name}' up to {anchor.position} are cut, and what stands for them was "
            f"made by fold:configuration {anchor.version}; this is {version_of(fold)}, which may give other facts from "
            "there. Check with the release and the site model of then, or after a cut that this one makes"
        )
    return fold.unpack(anchor.state)


def _adopted(fold: SiteFold[StateT], anchor: Anchor) -> StateT:
    """The anchor's state, also of another configuration: what was on the site is known by it alone."""
    version, _, config_hash = anchor.version.rpartition(":")
    if version != fold.version:
        raise FoldMismatch(
            f"the observations of site '{fold.site.name}' up to {anchor.position} are cut, and the state that stands for "
            f"them is of fold version {version}; version {fold.version} cannot go on from it. Run the release that made it, "
            f"or begin with an empty site at {anchor.position}: `twin log afresh`"
        )
    if config_hash != fold.config_hash:
        _logger.warning(
            "site %s: what is known of the time before position %d was concluded with another site model or parameters",
            fold.site.name,
            anchor.position,
        )
    return fold.unpack(anchor.state)
