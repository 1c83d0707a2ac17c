"""A subscriber's own database, and a service for it to subscribe to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, func, select
from starlette.applications import Starlette

from site_models.schema import Datum, Level, LevelId, Site
from twin.api import Services, create_app
from twin.api.metrics import Metrics
from twin.client import Event
from twin.feeds.subscriptions import Subscriptions
from twin.inbox import Inbox
from twin.log.keys import MemoryKeyRing
from twin.log.port import Log

from .workload import SITE

PLACE = Site(name=SITE, datum=Datum(latitude=0.0, longitude=0.0), levels=(Level(id=LevelId("ground")),))

_metadata = MetaData()
_effects = Table(
    "effects", _metadata, Column("n", Integer, primary_key=True), Column("session", String), Column("position", Integer)
)


class Effects:
    """One effect an event, in the order in which they happened.

    Args:
        has_inbox: store the events' ids in the same transactions, so that an event has one effect.
    """

    def __init__(self, engine: Engine, *, has_inbox: bool = True) -> None:
        self._engine = engine
        self._inbox = Inbox() if has_inbox else None
        with engine.begin() as connection:
            _metadata.create_all(connection)
            Inbox().create(connection)

    def happen(self, event: Event) -> None:
        """The effect of an event, in a transaction of its own."""
        with self._engine.begin() as connection:
            if self._inbox is None or self._inbox.is_first(connection, event):
                row = {"session": event.attributes["subject"], "position": event.position}
                connection.execute(_effects.insert().values(row))

    def __len__(self) -> int:
        with self._engine.begin() as connection:
            return connection.scalar(select(func.count()).select_from(_effects)) or 0

    def by_session(self) -> dict[str, list[int]]:
        """Positions of the events that had an effect, in the order of their effects."""
        found: dict[str, list[int]] = {}
        with self._engine.begin() as connection:
            for row in connection.execute(select(_effects).order_by(_effects.c.n)):
                found.setdefault(row.session, []).append(row.position)
        return found


def app_of(log: Log, subscriptions: Subscriptions) -> Starlette:
    """A service with subscriptions to a log."""
    crops: Any = None  # no route of a subscription looks at them
    return create_app(
        Services(
            log=log,
            keys=MemoryKeyRing(),
            sites={SITE: PLACE},
            timelines={},
            hubs={},
            subscriptions={SITE: subscriptions},
            crops=crops,
            metrics=Metrics(),
        )
    )
