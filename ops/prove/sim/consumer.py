"""A subscriber that crashes too: its effects and the ids of what it has seen are in a database of its own."""

from __future__ import annotations

import asyncio

from twin.errors import Conflict, NotFound, Overloaded
from twin.events.envelope import RecordedFact
from twin.feeds.subscriptions import Subscriptions
from twin.log.subscriptions import Filter

from .faults import Faults
from .invariants import must
from .service import Down, Service

NAME = "billing"


class Consumer:
    """Takes leases, works each fact off, and acknowledges; some facts fail at first, some leases are never heard of again."""

    def __init__(self, service: Service, faults: Faults) -> None:
        self._service, self._faults = service, faults
        self.effects: dict[str, int] = {}  # by event id; position
        self.last_by_order: dict[str, int] = {}
        self._number = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(0.2)
            if self._faults.happens(0.02):
                self._number += 1  # it starts again, under another name
            subscriptions = self._service.subscriptions
            if subscriptions is None:
                continue
            try:
                await self._turn(subscriptions)
            except (Down, Overloaded, Conflict):
                continue

    async def _turn(self, subscriptions: Subscriptions) -> None:
        call, draw = self._service.call, self._faults.draw
        try:
            lease = await call(
                subscriptions.lease(NAME, limit=draw.choice((1, 5, 50)), lease_s=3.0, consumer=f"c{self._number}")
            )
        except NotFound:
            await call(subscriptions.put(NAME, Filter(), after=0, most_attempts=50))
            return
        if not lease.number or self._faults.happens(0.05):
            return
        done: list[int] = []
        for one in lease.handed:
            if self._faults.happens(0.05):
                await call(subscriptions.refuse(NAME, lease.number, one.fact.position, "not now"))
                break
            self._effect(one.fact, one.delivery.order)
            done.append(one.fact.position)
            if self._faults.happens(0.02):
                return
        await self._faults.pause(0.05, 5.0)
        await call(subscriptions.acknowledge(NAME, lease.number, done))

    def _effect(self, fact: RecordedFact, order: str) -> None:
        """Once an id, and of one order in the order of positions."""
        if fact.event.id in self.effects:
            return
        last = self.last_by_order.get(order, 0)
        must(fact.position > last, f"fact {fact.position} of '{order}' was delivered first after {last}")
        self.effects[fact.event.id] = self.last_by_order[order] = fact.position

    async def is_done(self, head: int) -> bool:
        """Whether the subscription has nothing left to deliver."""
        subscriptions = self._service.subscriptions
        if subscriptions is None:
            return False
        try:
            return (await self._service.call(subscriptions.standing(NAME))).acknowledged_to >= head
        except (Down, NotFound):
            return False
