"""Clients of a live feed that follow its rules over connections that stall and break, and what the server had at each place.

A client that holds a state believes that it is the server's at its sequence number. The truth is a fold from the first fact.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from twin.errors import Overloaded
from twin.events.envelope import RecordedFact
from twin.feeds.delta import merge
from twin.feeds.hub import Hub
from twin.feeds.subscriber import Subscriber
from twin.feeds.view import EVERYTHING, LiveFilter
from twin.graph.apply import apply
from twin.graph.model import SiteGraph, site_graph
from twin.graph.query import state
from twin.log.memory import MemoryLog
from twin.projections.naive import net_of

from .site_day import PROOF_SITE

FILTERS = (
    EVERYTHING,
    LiveFilter(zones=(PROOF_SITE.zones[0].id, PROOF_SITE.stalls[0].zone)),
    LiveFilter(kinds=("stall",)),
    LiveFilter(kinds=("camera", "vehicle"), zones=tuple(sorted(zone.id for zone in PROOF_SITE.zones[3:6]))),
    LiveFilter(kinds=("portal", "zone")),
)
_LISTS = {"vehicle": "vehicles", "stall": "stalls", "zone": "zones", "camera": "cameras", "portal": "portals"}
_graphs: list[SiteGraph] = []


class Wrong(Exception):
    """What refuted the promise."""


class Truth:
    """What the server has at each position, and what each part of it is."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._states: dict[int, dict[str, Any]] = {}

    async def at(self, position: int, wanted: LiveFilter) -> dict[str, Any]:
        """The state at a position, or the part of it that a filter names, worked out anew."""
        if position not in self._states:
            facts = await self._log.facts(PROOF_SITE.name, after=0, limit=max(1, position))
            self._states[position] = _folded([one for one in facts if one.position <= position], position)
        return _part(self._states[position], wanted)


class Link:
    """A connection's way to its client: in order, bounded by the stalls of whoever reads it, and cut at any moment."""

    def __init__(self) -> None:
        self.arrived: deque[str] = deque()
        self.room = asyncio.Event()
        self.room.set()
        self.news = asyncio.Event()

    def write(self, frame: bytes) -> bool:
        """As ``LiveProtocol.write_frame``."""
        if self.room.is_set():
            self._arrive(frame[4 if frame[1] == 126 else 10 if frame[1] == 127 else 2 :].decode())
            return True
        return False

    async def send(self, text: str) -> None:
        """As an application's send."""
        await self.room.wait()
        self._arrive(text)

    def _arrive(self, text: str) -> None:
        self.arrived.append(text)
        self.news.set()


class Client:
    """One client.

    Attributes:
        place: (epoch, seq) of what it holds; None: it knows that it has nothing.
        n_sessions: connections that it made.
    """

    def __init__(self, draw: random.Random, truth: Truth, *, compares: bool = True) -> None:
        self.draw = draw
        self.wanted = draw.choice(FILTERS)
        self.place: tuple[str, int] | None = None
        self.n_sessions = 0
        self._state: dict[str, Any] = {}
        self._truth = truth
        self._compares = compares
        self._is_direct = draw.random() < 0.7
        self._is_honest = True  # it asked for what follows what it holds

    async def session(self, hub: Hub, asked: tuple[str, int] | None, life_s: float, seen: Callable[[Subscriber], None]) -> None:
        """One connection, until it is cut, or ended by the server or by the client, which missed something."""
        link = Link()
        self._is_honest = asked is None or asked == self.place
        epoch, seq = asked or (None, None)
        try:
            with hub.subscribe(epoch, seq, wanted=self.wanted, write=link.write if self._is_direct else None) as subscriber:
                self.n_sessions += 1
                seen(subscriber)
                works = (_sent(hub, subscriber, link), self._reads(link), self._stalls(link), subscriber.until_closed())
                tasks = [asyncio.ensure_future(work) for work in works]
                try:
                    done, _ = await asyncio.wait(tasks, timeout=life_s, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                for task in done:
                    task.result()
        except Overloaded:
            await asyncio.sleep(0.5)

    async def check(self, position: int) -> None:
        """At rest nothing is missing: what it holds is what the server has now; raises Wrong."""
        if self.place is None:
            raise Wrong(f"a client of {self.wanted} has nothing at rest")
        self._compare(await self._truth.at(position, self.wanted), "at rest", but=("position", "at"))

    async def _stalls(self, link: Link) -> None:
        while True:
            await asyncio.sleep(self.draw.expovariate(0.5))
            link.room.clear()
            await asyncio.sleep(self.draw.choice((0.1, 0.5, 1.0, 4.0)))
            link.room.set()

    async def _reads(self, link: Link) -> None:
        """Take what arrives; returns where a message does not fit."""
        while True:
            link.news.clear()
            while link.arrived:
                if not await self._take(link.arrived.popleft()):
                    return
                if self.draw.random() < 0.2:
                    await asyncio.sleep(self.draw.choice((0.01, 0.3)))
            await link.news.wait()

    async def _take(self, text: str) -> bool:
        message = msgspec.json.decode(text)
        if message["type"] == "ping":
            return True
        if message["type"] == "snapshot":
            self._state = message["state"]
        elif self.place is None or (self._compares and (message["epoch"], message["prev"]) != self.place):
            if self._is_honest:
                raise Wrong(f"a client of {self.wanted} at {self.place} is told what follows {message['prev']}")
            self.place = None
            return False
        else:
            self._state = merge(self._state, message)
        self.place = (message["epoch"], message["seq"])
        position = int(message["position"])
        self._compare(await self._truth.at(position, self.wanted), f"at {self.place}, position {position}")
        return True

    def _compare(self, truth: dict[str, Any], where: str, but: tuple[str, ...] = ()) -> None:
        wrong = [name for name in truth if name not in but and self._state[name] != truth[name]]
        if wrong:
            told = f"{str(self._state[wrong[0]])[:200]} for {str(truth[wrong[0]])[:200]}"
            raise Wrong(f"a client of {self.wanted} {where} believes in other {', '.join(wrong)}: {told}")


async def _sent(hub: Hub, subscriber: Subscriber, link: Link) -> None:
    async for message in hub.messages(subscriber):
        await link.send(message)


def _folded(facts: list[RecordedFact], position: int) -> dict[str, Any]:
    if not _graphs:
        _graphs.append(site_graph(PROOF_SITE))
    graph = _graphs[0]
    graph.clear()
    for fact in net_of(facts):
        apply(graph, fact)
    return msgspec.json.decode(msgspec.json.encode(state(graph, position=position)))


def _part(whole: Mapping[str, Any], wanted: LiveFilter) -> dict[str, Any]:
    part = dict(whole)
    if wanted.zones is not None:
        pieces = (_graphs[0].pieces_by_zone[zone.id] for zone in PROOF_SITE.zones if zone.id in wanted.zones)
        seeing = {camera for zone in pieces for piece in zone for camera in piece}
        stalls = {stall.id for stall in PROOF_SITE.stalls if stall.zone in wanted.zones}
        part["vehicles"] = [one for one in whole["vehicles"] if one["zone"] in wanted.zones]
        part["stalls"] = [one for one in whole["stalls"] if one["stall"] in stalls]
        part["zones"] = [one for one in whole["zones"] if one["zone"] in wanted.zones]
        part["cameras"] = [one for one in whole["cameras"] if one["camera"] in seeing]
    for kind, name in _LISTS.items():
        if wanted.kinds is not None and kind not in wanted.kinds:
            part[name] = []
    return part


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for it."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
