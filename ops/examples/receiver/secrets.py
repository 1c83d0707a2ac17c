"""The webhook's secrets: each is told once, so that it is asked for is stored before it is asked."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select, update

from ops.examples.receiver.schema import secrets
from ops.examples.receiver.signature import TOLERANCE_S
from twin.events.ids import SECOND, Micros


def accepted(connection: Connection, webhook: str, now: Micros) -> list[str]:
    """What a request may be signed with now, the newest first."""
    holds = or_(secrets.c.until_at.is_(None), secrets.c.until_at > now)
    wanted = select(secrets.c.secret).where(secrets.c.webhook == webhook, secrets.c.secret.is_not(None), holds)
    return list(connection.scalars(wanted.order_by(secrets.c.n.desc())))


def is_unanswered(connection: Connection, webhook: str) -> bool:
    """Whether a secret was asked for that is not stored: it may sign, and nobody here knows it."""
    wanted = select(secrets.c.n).where(secrets.c.webhook == webhook, secrets.c.secret.is_(None))
    return connection.execute(wanted).first() is not None


def ask(connection: Connection, webhook: str) -> None:
    """Note that one is about to be asked for."""
    if not is_unanswered(connection, webhook):
        connection.execute(secrets.insert().values(webhook=webhook))


def keep(connection: Connection, webhook: str, secret: str | None, until: Micros) -> None:
    """The answer: a new secret, beside which those before hold until then; None: there is no new one."""
    of_it = secrets.c.webhook == webhook
    if secret is not None:
        older = update(secrets).where(of_it, secrets.c.until_at.is_(None), secrets.c.secret.is_not(None))
        connection.execute(older.values(until_at=until + TOLERANCE_S * SECOND))
        connection.execute(secrets.insert().values(webhook=webhook, secret=secret))
    connection.execute(secrets.delete().where(of_it, secrets.c.secret.is_(None)))
