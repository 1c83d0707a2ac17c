"""Effects that happen once, in the consumer's own database.

    inbox = Inbox()
    with engine.begin() as connection:
        if inbox.is_first(connection, event):
            connection.execute(...)

The event's id and its effect are stored in one transaction, so an event that comes again finds its id there and has no effect.
Inside SQLAlchemy's asyncio, use ``await connection.run_sync(inbox.is_first, event)``.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, delete, select

from twin.client import Event


class Inbox:
    """A table of the ids of events that had their effect.

    Two consumers that get the same event at once cannot both store its id: the later transaction fails on the primary key, and
    its event is delivered again.
    """

    def __init__(self, table: str = "twin_inbox", metadata: MetaData | None = None) -> None:
        self.table = Table(
            table,
            metadata or MetaData(),
            Column("site", String(255), primary_key=True),
            Column("id", String(64), primary_key=True),
            Column("position", BigInteger, nullable=False),
        )

    def create(self, connection: Connection) -> None:
        """Make the table where there is none."""
        self.table.create(connection, checkfirst=True)

    def is_first(self, connection: Connection, event: Event) -> bool:
        """Whether this event had no effect yet; notes in the connection's transaction that now it has."""
        site = event.attributes["site"]
        known = select(self.table.c.id).where(self.table.c.site == site, self.table.c.id == event.id)
        if connection.execute(known).first() is not None:
            return False
        connection.execute(self.table.insert().values(site=site, id=event.id, position=event.position))
        return True

    def forget(self, connection: Connection, site: str, below: int) -> int:
        """Drop ids of positions < ``below``, which the subscription has acknowledged and nobody replays; gives how many."""
        old = delete(self.table).where(self.table.c.site == site, self.table.c.position < below)
        return connection.execute(old).rowcount
