"""Bugs that a good engineer could write, each breaking a promise; ``planted`` plants them one at a time.

Each ``plant`` replaces a method or function of the service in its process. Those of the log are in the adapter in memory, which
two of three runs use, except where one names SQL. Bugs that the design survives are not here: a commit that counts as done
though the queue was full (the next one finds the cursor elsewhere), a wake-up that is lost (followers look by themselves), a
step that changes the state it was given (nobody keeps that one).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

import twin.feeds.delivery as delivery
import twin.feeds.subscriptions as subscriptions
import twin.fusion.stalls as stalls
import twin.log.fencing as fencing
import twin.log.memory as memory
import twin.log.sql.transaction as transaction
import twin.log.tail as tail
import twin.retention as retention
import twin.rules.fold as fold
import twin.rules.sessions as sessions
import twin.service as service
from twin.errors import Overloaded
from twin.fold_state import version_of
from twin.log.port import Outcome, Receipt, Snapshot

_Any: Any = object


class Bug(NamedTuple):
    """One planted bug; ``what`` says in a sentence what is wrong."""

    name: str
    what: str
    plant: Callable[[], None]


def _swap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace what ``owner`` has under this name by what ``make`` makes of it."""
    setattr(owner, name, make(getattr(owner, name)))


def _no_boot_epoch() -> None:
    def make(append: Any) -> Any:
        def keyed(self: Any, event: Any, content: Any) -> Any:
            kept = self._sites.get(event.site)
            if kept is not None:
                for key, position in kept.position_by_key.items():
                    if key.sequence == event.key.sequence and key.device[:3] == event.key.device[:3] and key != event.key:
                        return Receipt(outcome=Outcome.DUPLICATE, position=position)
            return append(self, event, content)

        return keyed

    _swap(memory.MemoryLog, "_append", make)


def _resend_moves() -> None:
    def make(append: Any) -> Any:
        def latest(self: Any, event: Any, content: Any) -> Any:
            receipt = append(self, event, content)
            if receipt.outcome is Outcome.DUPLICATE:
                return replace(receipt, position=len(self._sites[event.site].observations))
            return receipt

        return latest

    _swap(memory.MemoryLog, "_append", make)


def _only_newest_key() -> None:
    def make(append: Any) -> Any:
        def bounded(self: Any, event: Any, content: Any) -> Any:
            kept = self._sites.get(event.site)
            if kept is not None and len(kept.position_by_key) > 100:
                del kept.position_by_key[next(iter(kept.position_by_key))]
            return append(self, event, content)

        return bounded

    _swap(memory.MemoryLog, "_append", make)


def _half_a_batch() -> None:
    def make(append: Any) -> Any:
        async def torn(self: Any, events: Any) -> Any:
            if len(events) > 10:
                await append(self, events[:10])
                return await append(self, events[10:20]) + await append(self, events[20:]) + await append(self, events[:10])
            return await append(self, events)

        return torn

    _swap(memory.MemoryLog, "append", make)


def _token_not_compared() -> None:
    def make(check: Any) -> Any:
        def lenient(commit: Any, *, heads: Any, newest_token: int) -> None:
            check(commit, heads=heads, newest_token=min(newest_token, commit.token.number))

        return lenient

    for module in (fencing, memory, transaction):
        _swap(module, "check_commit", make)


def _token_given_twice() -> None:
    def make(acquire: Any) -> Any:
        async def shared(self: Any, site: Any, worker: str) -> Any:
            token = await acquire(self, site, worker)
            if token.number % 3 == 0:
                self._sites[site].token -= 1
                return replace(token, number=token.number - 1)
            return token

        return shared

    _swap(memory.MemoryLog, "acquire", make)


def _resume_from_snapshot() -> None:
    async def resume(self: Any) -> None:
        cursor = (await self._log.heads(self.site)).cursor
        found = await self._log.load_snapshots(self.site, "fusion", version_of(self._fold), until_position=cursor, limit=1)
        self._state = self._fold.unpack(found[0].body) if found else self._fold.initial()
        self._cursor = cursor
        self._snapshot_at = found[0].position if found else 0

    service.FusionWorker._resume = resume


def _newer_snapshot() -> None:
    def make(save: Any) -> Any:
        async def late(self: Any, snapshot: Snapshot) -> None:
            body = self._fold.pack(self._state)
            await save(self, replace(snapshot, body=body, position=max(snapshot.position - 3, 1)))

        return late

    _swap(service.FusionWorker, "_save", make)


def _state_before_commit() -> None:
    async def advance(self: Any, batch: Any) -> Any:
        state, facts = await self._folded(batch)
        self._state = state
        commit = service.FoldCommit(token=advance.token, after=self._cursor, cursor=batch[-1].position, facts=tuple(facts))  # pyright: ignore[reportFunctionMemberAccess]
        await self._commit(commit)
        self._cursor = batch[-1].position

    def make(_: Any) -> Any:
        async def twice(self: Any, token: Any, batch: Any) -> None:
            advance.token = token  # pyright: ignore[reportFunctionMemberAccess]
            try:
                await advance(self, batch)
            except Overloaded:
                await advance(self, batch)

        return twice

    _swap(service, "_RETRY_S", lambda _: (0.05,))
    _swap(service.FusionWorker, "_advance", make)


def _page_boundary() -> None:
    def make(follow: Any) -> Any:
        async def skipping(read: Any, wakeups: Any, topic: Any, *, after: int, poll_s: float = 0.5) -> Any:
            async for batch in follow(read, wakeups, topic, after=after, poll_s=poll_s):
                yield batch[1:] if len(batch) > 30 else batch

        return skipping

    _swap(tail, "tail", make)
    memory.tail = tail.tail


def _stays_not_saved() -> None:
    def make(pack: Any) -> Any:
        def without(self: Any, state: Any) -> bytes:
            return pack(self, replace(state, sessions=sessions.SessionsState()))

        return without

    _swap(fold.Fold, "pack", make)


def _cached_step() -> None:
    counts: dict[int, int] = {}

    def make(step: Any) -> Any:
        def noting(self: Any, state: Any, recorded: Any, personal: Any) -> Any:
            counts[recorded.position] = counts.get(recorded.position, 0) + 1
            after, facts = step(self, state, recorded, personal)
            return after, facts[:-1] if counts[recorded.position] > 1 and len(facts) > 1 else facts

        return noting

    _swap(fold.Fold, "step", make)


def _time_of_the_crossing_s_record() -> None:
    def make(new: Any) -> Any:
        def rounded(self: Any, stay: Any, at: Any, reason: Any) -> Any:
            (told_at, told), *others = new(self, stay, at, reason)
            if stay.entry_at is not None:
                told = replace(told, entry_at=told.entry_at // 1_000_000 * 1_000_000)
            return [(told_at, told), *others]

        return rounded

    _swap(sessions.Sessions, "_new", make)


def _exit_without_entry() -> None:
    def make(new: Any) -> Any:
        def invented(self: Any, stay: Any, at: Any, reason: Any) -> Any:
            if stay.entry_at is not None:
                return new(self, stay, at, reason)
            invented = replace(stay, entry_at=stay.exit_at, status="closed", confidence=1.0, version=1)
            return self._closed(invented, invented)

        return invented

    _swap(sessions.Sessions, "_new", make)


def _stall_not_freed() -> None:
    def make(tell: Any) -> Any:
        def told(self: Any, name: Any, belief: Any, *rest: Any) -> None:
            before = self._stalls.get(name)
            if belief.state == "free" and before is not None:
                belief = replace(belief, vehicle=before.vehicle)
            tell(self, name, belief, *rest)

        return told

    _swap(stalls.StallFilter, "_tell", make)


def _acknowledges_all_before() -> None:
    def make(_: Any) -> Any:
        def through(subscription: Any, number: int, positions: Any) -> Any:
            last = max(positions, default=0)
            queue = {position: one for position, one in subscription.queue.items() if position > last}
            return replace(subscription, queue=queue), []

        return through

    _swap(delivery, "acknowledge", make)


def _order_forgotten() -> None:
    def make(_: Any) -> Any:
        def any_order(subscription: Any, now: int) -> Any:
            return (one for one in subscription.queue.values() if one.state == "waiting" and one.until <= now)

        return any_order

    _swap(delivery, "_deliverable", make)


def _leases_never_end() -> None:
    def make(settled: Any) -> Any:
        def patient(subscription: Any, now: int, holder: str = "") -> Any:
            return settled(subscription, 0, holder)

        return patient

    _swap(delivery, "settled", make)


def _reads_past_the_end() -> None:
    def make(page: Any) -> Any:
        async def ahead(self: Any, wanted: Any, after: int, end: int | None) -> Any:
            found, read_to = await page(self, wanted, after, end)
            return found[:-1] if len(found) > 8 else found, read_to

        return ahead

    _swap(subscriptions.Subscriptions, "_page", make)


def _nothing_left() -> None:
    async def left(self: Any, until: int, from_at: int) -> list[int]:
        return []

    retention.Retention._left = left


def _sql_head_from_max() -> None:
    def make(lock: Any) -> Any:
        def derived(self: Any, site: Any) -> Any:
            head = lock(self, site)
            query = "select coalesce(max(position), 0) from facts join names on number = site where name = ?"
            head.facts = self.connection.exec_driver_sql(query, (site,)).scalar() - (head.token > 2)
            head.facts = max(head.facts, 0)
            return head

        return derived

    _swap(transaction.Transaction, "_lock", make)


def _sql_chain_by_group() -> None:
    def make(flush: Any) -> Any:
        def stale(self: Any) -> None:
            if len(self._observations) > 1:
                for site in {event.site for _, _, event, _ in self._observations}:
                    self._heads[site].observations_content = 2 * self._observations[0][-1].hash
            flush(self)

        return stale

    _swap(transaction.Transaction, "flush", make)


BUGS = (
    Bug("no boot epoch", "a device key is looked for by sequence and site of the device", _no_boot_epoch),
    Bug("resend moves", "a resend is answered with the log's head instead of its first position", _resend_moves),
    Bug("bounded keys", "only a hundred device keys are remembered", _only_newest_key),
    Bug("half a batch", "a large batch is appended in parts, whose receipts are joined in another order", _half_a_batch),
    Bug("token not compared", "a deposed worker's commit passes", _token_not_compared),
    Bug("token twice", "at times two workers get one fencing token", _token_given_twice),
    Bug(
        "resume from snapshot", "what was folded between the snapshot and the cursor is not folded again", _resume_from_snapshot
    ),
    Bug("newer snapshot", "a snapshot has a state that is newer than its position", _newer_snapshot),
    Bug("state before commit", "a batch whose commit is tried again is folded twice", _state_before_commit),
    Bug("page boundary", "followers miss the first of a long page", _page_boundary),
    Bug("cached step", "an observation that is folded for the second time gives fewer facts", _cached_step),
    Bug("stays not saved", "a snapshot of the fold forgets the open stays", _stays_not_saved),
    Bug("rounded entry", "a stay begins at the full second", _time_of_the_crossing_s_record),
    Bug("invented entry", "an exit without an entry closes a stay that never began", _exit_without_entry),
    Bug("stall keeps its vehicle", "a stall that became free still names who stood in it", _stall_not_freed),
    Bug("acknowledges all before", "an acknowledgement takes all earlier facts along", _acknowledges_all_before),
    Bug("order forgotten", "facts behind a failed one of their session are delivered", _order_forgotten),
    Bug("leases never end", "what a dead consumer held is never delivered again", _leases_never_end),
    Bug("reads past", "the last fact of a longer page is not queued", _reads_past_the_end),
    Bug("head from max", "in SQL, the fact log's head is the largest position, less one after a takeover", _sql_head_from_max),
    Bug("nothing is left", "movement is cut though the state that is kept rests on it", _nothing_left),
    Bug("chain by group", "in SQL, the chain covers the first observation of a group only", _sql_chain_by_group),
)
