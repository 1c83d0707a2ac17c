"""One sequence of live messages, told to all who follow it: of a whole site, or of what fits one filter.

Each delta is encoded once, and is one WebSocket frame for all. The last of them stay in a ring, so that a client that was cut
off can go on from its sequence number, and a slow one can be told many as one; whom the ring no longer reaches gets a snapshot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from websockets.frames import Frame, Opcode

from twin.feeds.delta import State, conflated
from twin.feeds.subscriber import Close, Subscriber
from twin.feeds.view import View


class Ringed(NamedTuple):
    """A delta that was told."""

    text: str
    difference: Mapping[str, Any]


class Channel:
    """What a hub publishes, in one sequence.

    Attributes:
        epoch: names this sequence; numbers of another epoch mean nothing here.
        seq: number of the last delta; 0 is the state that it started with.
        quiet_since_s: when something was last told, by the event loop's clock.
        n_idle: publications since the last client left.
    """

    def __init__(self, epoch: str, state: State, *, n_ring: int, now_s: float, view: View | None = None) -> None:
        self.epoch = epoch
        self.seq = 0
        self.n_idle = 0
        self._view = view
        self._ring: deque[Ringed] = deque(maxlen=n_ring)
        self._snapshot: tuple[int, str, str] | None = None
        self._since: dict[int, str] = {}
        self._subscribers: dict[Subscriber, None] = {}  # in order, so that a simulation can be repeated
        self.start(state, now_s)

    @property
    def n_clients(self) -> int:
        """Clients that follow it."""
        return len(self._subscribers)

    def start(self, state: State, now_s: float) -> None:
        """Stand at a state that nobody was told yet."""
        self._state, self.quiet_since_s = state, now_s
        if self._view is not None:
            self._view.start(state)

    def add(self, subscriber: Subscriber, epoch: str | None, seq: int | None) -> None:
        """Take a client in, from a sequence number of an epoch where the ring still reaches it."""
        oldest = self.seq - len(self._ring)
        if epoch != self.epoch or seq is None or not oldest <= seq <= self.seq:
            subscriber.want_snapshot()
        else:
            subscriber.prime(seq, [one.text for one in self._after(seq)])
        self._subscribers[subscriber] = None
        self.n_idle = 0

    def discard(self, subscriber: Subscriber) -> None:
        """Let a client go."""
        self._subscribers.pop(subscriber, None)

    def publish(self, state: State, difference: Mapping[str, Any], now_s: float) -> None:
        """Tell every client the difference, or what fits of it, that led to this state."""
        self._state = state
        self.n_idle += not self._subscribers
        told = difference if self._view is None else self._view.difference(difference)
        if told is None:
            return
        self.seq += 1
        self.quiet_since_s = now_s
        self._since.clear()
        text = self._delta(self.seq - 1, told)
        self._ring.append(Ringed(text, told))
        frame = text_frame(text)
        for subscriber in self._subscribers:
            subscriber.offer(text, frame)

    def ping(self, text: str, now_s: float) -> None:
        """Break a silence."""
        self.quiet_since_s = now_s
        frame = text_frame(text)
        for subscriber in self._subscribers:
            subscriber.ping(text, frame)

    def close(self, why: Close) -> None:
        """End every subscription."""
        for subscriber in self._subscribers:
            subscriber.close(why)

    def snapshot(self) -> str:
        """The state at ``seq``, encoded once for all who want it.

        Where there is a filter its position may be past that of the last delta: nothing that fits has changed since.
        """
        position = self._state["position"]
        if self._snapshot is None or self._snapshot[:2] != (self.seq, position):
            state = self._state if self._view is None else self._view.state(self._state)
            head = {"type": "snapshot", "epoch": self.epoch, "seq": self.seq, "position": position}
            self._snapshot = (self.seq, position, msgspec.json.encode({**head, "state": state}).decode())
        return self._snapshot[2]

    def since(self, seq: int) -> str | None:
        """One delta from a sequence number to ``seq``; None where the ring does not reach it."""
        if not self.seq - len(self._ring) <= seq < self.seq:
            return None
        if seq not in self._since:
            self._since[seq] = self._delta(seq, conflated(one.difference for one in self._after(seq)))
        return self._since[seq]

    def _after(self, seq: int) -> list[Ringed]:
        return list(self._ring)[seq - self.seq + len(self._ring) :]

    def _delta(self, prev: int, told: Mapping[str, Any]) -> str:
        head = {"type": "delta", "epoch": self.epoch, "prev": prev, "seq": self.seq}
        return msgspec.json.encode({**head, **told}).decode()


def text_frame(text: str) -> bytes:
    """A whole text message as a server's WebSocket frame (RFC 6455)."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
