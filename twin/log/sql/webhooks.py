"""Webhooks in the log's own database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from twin.events.ids import SiteId
from twin.log.content import check_name
from twin.log.sql import schema
from twin.log.sql.log import SqlLog
from twin.log.sql.transaction import Transaction
from twin.log.webhooks import MOST_ATTEMPTS_KEPT, Attempt, Secret, Webhook, WebhookChange

T = TypeVar("T")

_w, _a = schema.webhooks.c, schema.webhook_attempts.c
_read_secrets = msgspec.msgpack.Decoder(tuple[Secret, ...]).decode
_ATTEMPT = [_a[name] for name in Attempt.__struct_fields__]


class SqlWebhooks:
    """See ``twin.log.webhooks.WebhookStore``. The log's writer makes every change."""

    def __init__(self, log: SqlLog) -> None:
        self._log = log

    async def change(self, site: SiteId, name: str, change: WebhookChange[T]) -> T:
        """See ``WebhookStore``."""
        check_name("webhook", name)

        def work(transaction: Transaction) -> T:
            before = _load(transaction.connection, site, name)
            after, answer = change(before)
            _keep(transaction.connection, site, name, before, after)
            return answer

        return await self._log.write(work, site)

    async def load(self, site: SiteId, name: str) -> Webhook | None:
        """See ``WebhookStore``."""
        return await self._log.read(_load, site, name)

    async def all(self, site: SiteId) -> list[Webhook]:
        """See ``WebhookStore``."""
        return await self._log.read(_all, site)

    async def note(self, site: SiteId, name: str, attempts: Sequence[Attempt]) -> None:
        """See ``WebhookStore``."""
        check_name("webhook", name)
        await self._log.write(lambda transaction: _note(transaction.connection, site, name, attempts), site)

    async def attempts(self, site: SiteId, name: str, *, limit: int) -> list[Attempt]:
        """See ``WebhookStore``."""
        return await self._log.read(_attempts, site, name, limit)


def _load(connection: Connection, site: SiteId, name: str) -> Webhook | None:
    row = connection.execute(select(schema.webhooks).where(_w.site == site, _w.name == name)).one_or_none()
    return None if row is None else _webhook(row)


def _all(connection: Connection, site: SiteId) -> list[Webhook]:
    found = [_webhook(row) for row in connection.execute(select(schema.webhooks).where(_w.site == site))]
    return sorted(found, key=lambda one: one.name)


def _webhook(row: Row[Any]) -> Webhook:
    values: dict[str, Any] = dict(row._mapping)
    values["secrets"] = _read_secrets(values["secrets"])
    return Webhook(**values)


def _keep(connection: Connection, site: SiteId, name: str, before: Webhook | None, after: Webhook | None) -> None:
    if after is None:
        connection.execute(delete(schema.webhook_attempts).where(_a.site == site, _a.webhook == name))
        connection.execute(delete(schema.webhooks).where(_w.site == site, _w.name == name))
        return
    values = {**msgspec.structs.asdict(after), "secrets": msgspec.msgpack.encode(after.secrets)}
    if before is None:
        connection.execute(insert(schema.webhooks).values(values))
    elif before != after:
        connection.execute(update(schema.webhooks).where(_w.site == site, _w.name == name).values(values))


def _note(connection: Connection, site: SiteId, name: str, attempts: Sequence[Attempt]) -> None:
    of_it = (_w.site == site) & (_w.name == name)
    n_before = connection.scalar(select(_w.n_attempts).where(of_it))
    if n_before is None or not attempts:
        return
    n_after = n_before + len(attempts)
    rows = [
        {"site": site, "webhook": name, "number": number, **msgspec.structs.asdict(one)}
        for number, one in enumerate(attempts, n_before + 1)
    ]
    connection.execute(insert(schema.webhook_attempts), rows)
    connection.execute(update(schema.webhooks).where(of_it).values(n_attempts=n_after))
    old = (_a.site == site) & (_a.webhook == name) & (_a.number <= n_after - MOST_ATTEMPTS_KEPT)
    connection.execute(delete(schema.webhook_attempts).where(old))


def _attempts(connection: Connection, site: SiteId, name: str, limit: int) -> list[Attempt]:
    found = select(*_ATTEMPT).where(_a.site == site, _a.webhook == name).order_by(_a.number.desc()).limit(limit)
    return [Attempt(**row._mapping) for row in connection.execute(found)]
