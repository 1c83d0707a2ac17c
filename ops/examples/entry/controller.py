"""From a vehicle's question to the barrier: asks the twin, acts on its answer once, and rules without it where it must."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Engine, Row

from ops.examples.database import until_there
from ops.examples.entry import journal
from ops.examples.entry.gate import GateActuator, GateAway
from ops.examples.entry.policy import Gate, Lists, Ruling, by_list, by_twin, direction_of, without_twin
from twin.client import Event
from twin.errors import BadInput, Conflict
from twin.events.facts import GateDecided
from twin.events.ids import SECOND, EventId, Micros
from twin.events.observations import Direction, GateState

_TRIES_EVERY_S = 0.5  # at a gate that does not take an order

_logger = logging.getLogger(__name__)


class Terms(Struct, frozen=True, kw_only=True):
    """How long things may take.

    Attributes:
        deadline_s: who asked is answered by the site's own rule after that.
        stale_s: a question is over: nobody is let through on it any more.
    """

    deadline_s: float = 2.0
    stale_s: float = 30.0


class Controller:
    """All gates of a site. What it does is in the journal before it is done, so that it goes on from there after a kill."""

    def __init__(
        self,
        engine: Engine,
        device: journal.Device,
        actuator: GateActuator,
        *,
        now: Callable[[], Micros],
        wake: Callable[[], None],
        lists: Lists,
        terms: Terms,
    ) -> None:
        self._engine, self._device, self._actuator = engine, device, actuator
        self._now, self._wake, self._lists, self._terms = now, wake, lists, terms
        self._gates: Mapping[str, Gate] = {}
        self._ruled = asyncio.Event()  # of the next ruling, whichever question it is about
        self._tasks: set[asyncio.Task[None]] = set()

    def know(self, gates: Mapping[str, Gate]) -> None:
        """The site's gates, as its model says."""
        self._gates = gates

    def resume(self) -> None:
        """Go on with what a kill left: wait for answers, and order openings that no gate took."""
        with self._engine.begin() as connection:
            unfinished = journal.unfinished(connection)
        for question in unfinished:
            self._start(partial(self._order if question.answer == "open" else self._expect, question))

    async def aclose(self) -> None:
        """Stop what is under way; it is in the journal."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ask(
        self, portal: str, direction: Direction | None, *, plate: str | None, loop: str | None, given: str | None
    ) -> Row[Any]:
        """A vehicle asks; gives its question once it is answered. The plate is looked up here, and kept nowhere.

        Raises:
            BadInput: the site is known and has no such gate.
        """
        self._check(portal)
        way = direction_of(self._gates, portal, direction)
        ruling = by_list(self._lists, way, plate)
        with self._engine.begin() as connection:
            name, is_new = journal.ask(
                connection, self._device, portal, direction, loop, given, self._now(), lasts_us=self._stale_us
            )
        self._wake()
        question = self._question(name)
        if is_new and ruling is not None:
            self._rule(question, ruling)
        elif is_new:
            self._start(partial(self._expect, question))
        while (question := self._question(name)).answer is None:
            await self._ruled.wait()
        return question

    def decide(self, event: Event) -> None:
        """Act on an answer of the twin, unless it has expired or is to a question of others; it may come again."""
        decided = None if event.fact is None else event.fact.payload
        if not isinstance(decided, GateDecided):
            return
        received_at = self._now()
        ruling, holds = by_twin(decided, received_at), False
        with self._engine.begin() as connection:
            question = journal.question_of(connection, decided.asked)
            if question is None or not journal.inbox.is_first(connection, event):
                return
            journal.note(connection, question.question, received_at=received_at)
            if ruling is not None and not (ruling.answer == "open" and self._is_stale(question)):
                holds = journal.rule(connection, question, ruling, received_at, self._device.name)
        if holds:
            self._act(question.question)

    def override(self, portal: str, answer: str, author: str, reason: str, name: str | None) -> Row[Any]:
        """An attendant decides: about a question, by default the last at that gate, or where nobody asked.

        Raises:
            BadInput: there is no such gate, or it was asked no such question.
            Conflict: its vehicle was let through already.
        """
        self._check(portal)
        ruling = Ruling(answer="open" if answer == "open" else "refuse", by="attendant", reason=reason)
        with self._engine.begin() as connection:
            found = journal.last_at(connection, portal) if name is None else journal.question_of(connection, name)
            if name is not None and (found is None or found.portal != portal):
                raise BadInput(f"gate '{portal}' was asked no question '{name[:80]}'; leave it out for the last one")
            if name is None and found is not None and self._is_stale(found):
                found = None
            if found is None:
                name = journal.let_through(connection, self._device, portal, ruling, self._now(), author)
        if found is not None and not self._rule(found, ruling, author=author):
            raise Conflict("who asked was let through already; a question opens a gate once")
        if found is None:
            assert name is not None
            self._act(name)
            return self._question(name)
        return self._question(found.question)

    def state(self, portal: str, state: GateState) -> None:
        """A gate says how its barrier is; raises BadInput."""
        self._check(portal)
        with self._engine.begin() as connection:
            journal.tell(connection, "gate.state.v1", self._now(), portal=portal, state=state)
        self._wake()

    async def _expect(self, question: Row[Any]) -> None:
        """Rule without the twin when the deadline is over and there is no answer."""
        left_s = self._terms.deadline_s - (self._now() - question.asked_at) / SECOND
        await asyncio.sleep(max(0.0, left_s))
        current = self._question(question.question)
        if current.answer is not None:
            return
        direction = direction_of(self._gates, question.portal, question.direction)
        ruling = without_twin(self._gates.get(question.portal), direction, self._terms.deadline_s)
        if self._is_stale(question):
            why = f"this system was away for longer than {self._terms.stale_s:g} s after the question; ask again"
            ruling = Ruling(answer="refuse", by="unreachable", reason=why)
        self._rule(question, ruling)

    def _rule(self, question: Row[Any], ruling: Ruling, *, author: str | None = None) -> bool:
        """Store a ruling and act on it; gives whether it holds."""
        with self._engine.begin() as connection:
            current = journal.question_of(connection, question.question)
            assert current is not None
            holds = journal.rule(connection, current, ruling, self._now(), author or self._device.name)
        if holds:
            if ruling.by == "unreachable":
                _logger.warning("gate %s: %s: %s", question.portal, ruling.answer, ruling.reason)
            self._act(question.question)
        return holds

    def _act(self, name: str) -> None:
        """Do what was ruled, and tell it to the twin and to who waits."""
        self._wake()
        self._start(partial(self._carry_out, name))
        self._ruled.set()
        self._ruled = asyncio.Event()

    async def _carry_out(self, name: str) -> None:
        question = self._question(name)
        if question.order == "pending":
            await self._order(question)

    async def _order(self, question: Row[Any]) -> None:
        """Order an opening until the gate takes it, or it is too late for that: a gate that takes none is a fault."""
        until_at, n_tries, is_taken = question.ruled_at + self._stale_us, 0, False
        while not is_taken and self._now() < until_at:
            n_tries += 1
            is_taken = await self._opens(question)
        with self._engine.begin() as connection:
            journal.note(connection, question.question, order="taken" if is_taken else "failed")
            if n_tries and not is_taken:
                journal.tell(connection, "gate.state.v1", self._now(), portal=question.portal, state="fault")
        self._wake()

    async def _opens(self, question: Row[Any]) -> bool:
        try:
            await self._actuator.open(question.portal, question.question)
        except GateAway as away:
            _logger.warning("%s", away)
            await asyncio.sleep(_TRIES_EVERY_S)
            return False
        return True

    def _check(self, portal: str) -> None:
        if self._gates and portal not in self._gates:
            raise BadInput(f"'{portal[:80]}' is no gate of this site; it has {', '.join(sorted(self._gates))}")

    def _question(self, name: str) -> Row[Any]:
        with self._engine.begin() as connection:
            found = journal.question_of(connection, EventId(name))
        assert found is not None
        return found

    def _is_stale(self, question: Row[Any]) -> bool:
        return self._now() - question.asked_at >= self._stale_us

    @property
    def _stale_us(self) -> Micros:
        return round(self._terms.stale_s * SECOND)

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin what may be done twice: it is in the journal how far it is, and that may be away for a while."""
        task = asyncio.create_task(until_there(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def gates_in(model: bytes) -> dict[str, Gate]:
    """The gates of a site model, as ``GET /v1/sites/{site}`` gives it."""
    portals: list[Mapping[str, Any]] = msgspec.json.decode(model)["portals"]
    return {
        one["id"]: Gate(direction=one["direction"], if_unreachable=one.get("if_unreachable"))
        for one in portals
        if one["role"] == "boundary"
    }
