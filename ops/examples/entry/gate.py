"""What opens a barrier."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import httpx2

from twin.errors import TwinError


class GateAway(TwinError):
    """The barrier's controller did not take an order."""

    slug = "gate-away"


class GateActuator(Protocol):
    """A barrier. An opening that is ordered twice under one name is one opening: a crash may have come before its answer."""

    async def open(self, portal: str, opening: str) -> None:
        """Let one vehicle pass; raises GateAway where that was not taken."""
        ...


class SimulatedGate:
    """Remembers what it was told; for tests, and to try things on.

    Attributes:
        openings: how many times each was ordered.
        is_away: it takes no orders.
    """

    def __init__(self) -> None:
        self.openings: Counter[tuple[str, str]] = Counter()
        self.is_away = False

    async def open(self, portal: str, opening: str) -> None:
        """See ``GateActuator``."""
        if self.is_away:
            raise GateAway(f"the gate at '{portal}' takes no orders; look at its controller")
        self.openings[portal, opening] += 1


class RelayGate:
    """A controller that listens to ``PUT {url}/{portal}/openings/{opening}``: the same one again is the same opening."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http, self._url = http, url.rstrip("/")

    async def open(self, portal: str, opening: str) -> None:
        """See ``GateActuator``."""
        try:
            answer = await self._http.put(f"{self._url}/{portal}/openings/{opening}")
        except httpx2.TransportError as away:
            raise GateAway(f"the gate at '{portal}' cannot be reached: {type(away).__name__}: {away}") from None
        if not answer.is_success:
            raise GateAway(f"the gate at '{portal}' answered {answer.status_code}; look at its controller")
