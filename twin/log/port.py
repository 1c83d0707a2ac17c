"""The port of the logs. Every adapter passes the contract suite in ``tests/twin/log/test_contract.py``.

Positions are dense per site and log, 1..n in commit order. An observation's device key is stored at most
once. Facts, the cursor into the observation log and the fold's snapshot are committed together or not at all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Protocol

from msgspec import Struct

from twin.errors import Cut, NotFound
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, RecordedFact, RecordedObservation
from twin.events.ids import Micros, SiteId
from twin.log.chain import ChainHeads
from twin.log.cuts import Cuts


class Outcome(Enum):
    """What became of one appended observation."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # same device key and content: the first position is returned
    REFUSED = "refused"  # same device key, other content: recorded as refused, not stored
    EXPIRED = "expired"  # not after what was cut of its device: stored once already, or too late; not stored now
    ACCEPTED = "accepted"  # durable in a broker; its position, and whether it is a resend, shows when it is folded


class Receipt(Struct, frozen=True, kw_only=True, gc=False):
    """The answer to one appended observation; ``position`` is the first one of its device key, 0 where it is not known."""

    outcome: Outcome
    position: int


class Refusal(Struct, frozen=True, kw_only=True):
    """A device key that came again with other content: what is kept of it, one entry a key.

    Attributes:
        position: where the first content of this key is stored.
        content_hash: of the last refused content.
        n_refused: how many times other content came.
    """

    key: DeviceKey
    position: int
    content_hash: bytes
    refused_at: Micros
    n_refused: int


class Heads(Struct, frozen=True, kw_only=True):
    """Last positions of a site's two logs, and the fold's cursor into the first."""

    observations: int = 0
    facts: int = 0
    cursor: int = 0


class FencingToken(Struct, frozen=True, kw_only=True):
    """Proof of being a site's fold writer; a larger number deposes a smaller one."""

    site: SiteId
    worker: str
    number: int


class Snapshot(Struct, frozen=True, kw_only=True):
    """A saved fold, disposable.

    Attributes:
        kind: which fold, such as "fusion" or "graph".
        version: fold version and configuration hash; a snapshot of another version is not used.
        position: last position folded in: of the observation log for fusion, of the fact log for graph.
        at: valid time it stands at; 0 where that has no meaning.
    """

    site: SiteId
    kind: str
    version: str
    position: int
    at: Micros
    body: bytes


class Superseded(Struct, frozen=True, kw_only=True, gc=False):
    """A fact that is stored, and the position of the first that supersedes it."""

    position: int
    occurred_at: Micros
    by_position: int


class FoldCommit(Struct, frozen=True, kw_only=True):
    """One transaction of the fold: facts made from observations (``after``, ``cursor``]."""

    token: FencingToken
    after: int
    cursor: int
    facts: tuple[FactEvent, ...] = ()


class Log(Protocol):
    """Both logs of all sites."""

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        """Store observations durably, all or none; returns one receipt each, in order.

        Raises:
            Overloaded: the writer's queue is full; nothing was stored.
            LogClosed: the log stopped; nothing was stored.
        """
        ...

    async def acquire(self, site: SiteId, worker: str) -> FencingToken:
        """Become the site's fold writer; deposes the one before."""
        ...

    async def commit(self, commit: FoldCommit) -> int:
        """Store facts and move the cursor in one transaction; returns the fact log's head.

        Raises:
            Deposed: a newer token exists.
            CursorConflict: the stored cursor is not ``commit.after``.
        """
        ...

    async def sites(self) -> list[SiteId]:
        """Sites that have at least one observation, sorted."""
        ...

    async def heads(self, site: SiteId) -> Heads:
        """Heads and cursor; all zero for a site never seen."""
        ...

    async def chain(self, site: SiteId) -> ChainHeads:
        """Heads of the hash chains over both logs; the origins' for a site never seen."""
        ...

    async def observations(self, site: SiteId, *, after: int = 0, limit: int = 1000) -> list[RecordedObservation]:
        """Observations with position > ``after``, in position order.

        Raises:
            Cut: retention took observations after ``after``; ``Cuts.observations`` is where the log begins.
        """
        ...

    async def facts(
        self, site: SiteId, *, after: int = 0, limit: int = 1000, types: Sequence[str] = (), thinned: bool = False
    ) -> list[RecordedFact]:
        """Facts with position > ``after`` (of these types only, if any are named), in position order.

        Args:
            thinned: content with what retention left, where it took some of what is asked for.

        Raises:
            Cut: retention took facts of these types after ``after``, and ``thinned`` is false.
        """
        ...

    async def facts_at(self, site: SiteId, positions: Sequence[int]) -> list[RecordedFact]:
        """The facts at these positions, in this order; raises NotFound where there is none, Cut where retention took it."""
        ...

    async def facts_among(self, site: SiteId, positions: Sequence[int], *, types: Sequence[str] = ()) -> list[RecordedFact]:
        """Those of the facts at these positions that are there (of these types only, if any are named), in position order."""
        ...

    async def facts_between(
        self,
        site: SiteId,
        *,
        after_at: Micros,
        until_at: Micros,
        until_position: int,
        types: Sequence[str] = (),
        subject: str | None = None,
        limit: int = 100_000,
    ) -> list[RecordedFact]:
        """What was true, as known at a position: net facts by (occurred_at, position).

        Facts with ``after_at`` < occurred_at <= ``until_at`` and position <= ``until_position``, of these types and
        this subject where given, without those that a fact at position <= ``until_position`` supersedes.
        """
        ...

    async def facts_disturbing(self, site: SiteId, *, at: Micros, after: int, until: int) -> bool:
        """Whether a fact in positions (``after``, ``until``] has occurred_at <= ``at`` or supersedes one that did."""
        ...

    async def facts_superseded(self, site: SiteId, *, after: int, until: int) -> list[Superseded]:
        """Facts that were net until a fact in positions (``after``, ``until``] superseded them, by (by_position, position)."""
        ...

    async def position_at(self, site: SiteId, recorded_at: Micros) -> int:
        """The last fact position recorded at or before a time; 0 when none."""
        ...

    async def first_occurred_at(self, site: SiteId, *, after: int) -> Micros | None:
        """The least valid time of the facts after a position; None where there are none."""
        ...

    async def observed_at(self, site: SiteId, recorded_at: Micros) -> int:
        """The last observation position recorded at or before a time; never before where the log begins."""
        ...

    async def refusals(self, site: SiteId, *, limit: int = 1000) -> list[Refusal]:
        """Device keys that came again with other content, by the position of their first content."""
        ...

    async def backlog(self, site: SiteId) -> int:
        """How many observations are stored and not folded; of those in a broker, as far as is known."""
        ...

    def tail_observations(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedObservation], None]:
        """Batches of observations after a position, for ever, each as soon as it is committed; bounded memory."""
        ...

    def tail_facts(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedFact], None]:
        """As ``tail_observations``, for facts."""
        ...

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; replaces one of the same site, kind, version, position and time."""
        ...

    async def save_snapshots(self, snapshots: Sequence[Snapshot], *, instead_of: bytes | None) -> bool:
        """Keep several of a site, all or none: only where the body at the place of the last is this one (None: there is none).

        Gives whether they are kept. Of two that begin from the same, one is kept.
        """
        ...

    def sole(self, site: SiteId, doing: str) -> AbstractAsyncContextManager[bool]:
        """Whether this is the only one, of all processes on the log, that does something for a site until the context ends.

        A process that dies does nothing any more. Where its connection is lost another one may begin before this one knows: so
        what is done must be harmless when it is done twice.
        """
        ...

    async def load_snapshot(self, site: SiteId, kind: str, version: str, *, position: int, at: Micros) -> Snapshot | None:
        """The snapshot of exactly this place; None where there is none that is as it was saved."""
        ...

    async def load_snapshots(
        self, site: SiteId, kind: str, version: str, *, until_position: int, until_at: Micros | None = None, limit: int = 8
    ) -> list[Snapshot]:
        """Snapshots with position <= ``until_position`` (and at <= ``until_at``), newest first by (at, position)."""
        ...

    async def drop_snapshots(self, site: SiteId, kind: str, *, below: int) -> None:
        """Forget the snapshots of a kind at positions < ``below``, whatever their version."""
        ...

    async def cuts(self, site: SiteId) -> Cuts:
        """What retention cut off, and what stands for it."""
        ...

    async def cut_observations(self, site: SiteId, *, until: int, version: str, state: bytes) -> Cuts:
        """Put an anchor at a position that is folded, then delete the observations up to it, a few at a time.

        Killed in between, what is cut is cut: ``sweep`` deletes the rest. A position at or before the anchor changes nothing.

        Args:
            version, state: the fold after the observation at ``until``, as of a snapshot.

        Raises:
            BadInput: ``until`` is not folded yet.
            DamagedLog: what would be cut is not what was written.
        """
        ...

    async def cut_facts(self, site: SiteId, *, until: int, from_at: Micros, left: Sequence[int]) -> Cuts:
        """Take the movement facts up to a position out of the fact log, but for those at the positions ``left``.

        Args:
            from_at: valid times before this one cannot be asked for any more.

        Raises:
            BadInput: the facts up to ``until`` follow from observations that are not cut yet.
            Conflict: a subscription has not acknowledged them.
            DamagedLog: what would be cut is not what was written.
        """
        ...

    async def sweep(self, site: SiteId) -> int:
        """Delete what is cut and still there; gives how many events that were."""
        ...

    async def aclose(self) -> None:
        """Finish what is queued, then release every resource."""
        ...


def at_positions(
    site: SiteId, facts: Mapping[int, RecordedFact], positions: Sequence[int], thinned_to: int
) -> list[RecordedFact]:
    """The facts at these positions; raises NotFound where one is missing, Cut where that is up to ``thinned_to``."""
    missing = [position for position in positions if position not in facts]
    if missing:
        if 0 < missing[0] <= thinned_to:
            raise Cut(f"fact {missing[0]} of site '{site}' was a movement and is cut; they are kept after {thinned_to}")
        raise NotFound(f"site '{site}' has no fact at position {missing[0]}")
    return [facts[position] for position in positions]
