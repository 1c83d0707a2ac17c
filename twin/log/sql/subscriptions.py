"""Subscriptions in the log's own database."""

from __future__ import annotations

from functools import cache
from itertools import starmap
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Dialect, and_, bindparam, delete, select, update

from twin.events.ids import SiteId
from twin.log.content import check_name
from twin.log.sql import schema
from twin.log.sql.dialect import upsert
from twin.log.sql.log import SqlLog
from twin.log.sql.prepared import Prepared, drivers
from twin.log.sql.transaction import Transaction
from twin.log.subscriptions import Change, Delivery, DeliveryState, Filter, Replay, Subscription

T = TypeVar("T")

_s, _d = schema.subscriptions.c, schema.deliveries.c
_KEY = ("site", "subscription", "position")


class SqlSubscriptions:
    """See ``twin.log.subscriptions.SubscriptionStore``. The log's writer makes every change."""

    def __init__(self, log: SqlLog) -> None:
        self._log = log

    async def change(self, site: SiteId, name: str, change: Change[T]) -> T:
        """See ``SubscriptionStore``."""
        check_name("subscription", name)

        def work(transaction: Transaction) -> T:
            connection = transaction.connection
            before = _load(connection, site, name)
            after, answer = change(before)
            if after is None:
                _delete(connection, site, name)
            elif after != before:
                _save(connection, before, after)
            return answer

        return await self._log.write(work, site)

    async def load(self, site: SiteId, name: str) -> Subscription | None:
        """See ``SubscriptionStore``."""
        return await self._log.read(_load, site, name)

    async def names(self, site: SiteId) -> list[str]:
        """See ``SubscriptionStore``."""
        return await self._log.read(_names, site)


class Resumed(Struct, frozen=True, kw_only=True):
    """Where a subscription goes on in a restored log: after ``acknowledged_to`` of ``head`` facts."""

    site: SiteId
    name: str
    acknowledged_to: int
    head: int


def reconcile(connection: Connection) -> list[Resumed]:
    """Fit the subscriptions of a restored log to it: nobody holds a lease any more, and no cursor is beyond the log.

    Webhooks are paused: the log may be a copy beside the one that still sends to the same endpoints.
    """
    hooks, paused = schema.webhooks, {"state": "paused", "reason": "restored from a backup; resume it here if nowhere else"}
    connection.execute(update(hooks).where(hooks.c.state == "active").values(paused))
    free = {"state": "waiting", "until": 0, "holder": ""}
    connection.execute(update(schema.deliveries).where(_d.state == "leased").values(free))
    heads = connection.execute(select(schema.heads.c.site, schema.heads.c.facts)).all()
    head_by_site: dict[SiteId, int] = {row.site: row.facts for row in heads}
    resumed: list[Resumed] = []
    for site, name in connection.execute(select(_s.site, _s.name).order_by(_s.site, _s.name)).all():
        before, head = _load(connection, site, name), head_by_site.get(site, 0)
        assert before is not None
        kept = {position: one for position, one in before.queue.items() if position <= head}
        replayed = before.replay if before.replay and before.replay.resume <= head else None
        after = replace(before, read_to=min(before.read_to, head), queue=kept, replay=replayed)
        _save(connection, before, after)
        acknowledged_to = min([after.read_to, *(position - 1 for position in kept)])
        resumed.append(Resumed(site=site, name=name, acknowledged_to=acknowledged_to, head=head))
    return resumed


def _names(connection: Connection, site: SiteId) -> list[str]:
    return sorted(connection.scalars(select(_s.name).where(_s.site == site)))


def _load(connection: Connection, site: SiteId, name: str) -> Subscription | None:
    row = connection.execute(select(schema.subscriptions).where(_s.site == site, _s.name == name)).one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = dict(row._mapping)
    until, resume = values.pop("replay_until"), values.pop("replay_resume")
    values["filter"] = msgspec.json.decode(values["filter"], type=Filter)
    values["pauses_s"] = msgspec.json.decode(values["pauses_s"] or "[]", type=tuple[float, ...])
    values["owner"] = values["owner"] or ""
    return Subscription(
        **values,
        replay=None if until is None else Replay(until=until, resume=resume),
        queue=_queue(connection, site, name),
    )


def _queue(connection: Connection, site: SiteId, name: str) -> dict[int, Delivery]:
    rows = _statements(type(connection.dialect)).find_queue.all(connection, {"site": site, "subscription": name})
    return {one.position: one for one in starmap(_delivery, rows)}


def _delivery(
    position: int, order: str, state: DeliveryState, n_attempts: int, lease: int, holder: str, until: int, reason: str
) -> Delivery:
    return Delivery(
        position=position,
        order=order,
        state=state,
        n_attempts=n_attempts,
        lease=lease,
        holder=holder,
        until=until,
        reason=reason,
    )


def _save(connection: Connection, before: Subscription | None, after: Subscription) -> None:
    key = {"site": after.site, "name": after.name}
    values = {name: getattr(after, name) for name in _s.keys() if name in after.__struct_fields__}  # noqa: SIM118
    values |= {
        "filter": msgspec.json.encode(after.filter).decode(),
        "pauses_s": msgspec.json.encode(after.pauses_s).decode() if after.pauses_s else None,
        "replay_until": after.replay and after.replay.until,
        "replay_resume": after.replay and after.replay.resume,
    }
    if before is None:
        connection.execute(schema.subscriptions.insert().values(values))
    elif msgspec.structs.replace(before, queue={}) != msgspec.structs.replace(after, queue={}):
        connection.execute(update(schema.subscriptions).where(_s.site == key["site"], _s.name == key["name"]).values(values))
    _save_queue(connection, before, after)


def _save_queue(connection: Connection, before: Subscription | None, after: Subscription) -> None:
    old = before.queue if before else {}
    statements, of = _statements(type(connection.dialect)), {"site": after.site, "subscription": after.name}
    if gone := sorted(old.keys() - after.queue.keys()):
        statements.forget.many(connection, [{**of, "position": position} for position in gone])
    changed = [
        {**of, **msgspec.structs.asdict(one)}
        for position, one in after.queue.items()
        if (known := old.get(position)) is not one and known != one
    ]
    if changed:
        statements.keep.many(connection, changed)


class _Statements:
    """What is executed for every lease and acknowledgement, of a queue that may hold a thousand."""

    def __init__(self, dialect: Dialect) -> None:
        of_it = and_(*(_d[name] == bindparam(name) for name in _KEY[:2]))
        columns = [_d[name] for name in Delivery.__struct_fields__]
        self.find_queue = Prepared(select(*columns).where(of_it).order_by(_d.position), dialect)
        self.forget = Prepared(delete(schema.deliveries).where(of_it, _d.position == bindparam("position")), dialect)
        kept = upsert(dialect, schema.deliveries)
        rewritten = {column.name: kept.excluded[column.name] for column in _d if column.name not in _KEY}
        self.keep = Prepared(kept.on_conflict_do_update(index_elements=list(_KEY), set_=rewritten), dialect)


@cache
def _statements(kind: type[Dialect]) -> _Statements:
    return _Statements(drivers(kind()))


def _delete(connection: Connection, site: SiteId, name: str) -> None:
    connection.execute(delete(schema.deliveries).where(and_(_d.site == site, _d.subscription == name)))
    connection.execute(delete(schema.subscriptions).where(and_(_s.site == site, _s.name == name)))
