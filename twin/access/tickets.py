"""Tickets for a WebSocket: for half a minute and one connection, so that no key stands in an address."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import NamedTuple

from twin.access.keys import Chance, KeyId
from twin.errors import Overloaded
from twin.events.ids import Micros
from twin.log.clock import Clock

LASTS_S = 30
MOST = 10_000
MOST_A_KEY = 200


class _Issued(NamedTuple):
    key: KeyId
    site: str
    ends_at: Micros


class Tickets:
    """Those that were issued and not used, in the memory of one process."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self._clock = clock
        self._chance = chance
        self._issued: dict[bytes, _Issued] = {}  # by hash: a search by the ticket itself would tell by its time how near it is
        self._n_by_key: Counter[KeyId] = Counter()

    def __len__(self) -> int:
        return len(self._issued)

    def issue(self, key: KeyId, site: str) -> str:
        """A ticket for one connection to a site; raises Overloaded where too many wait to be used."""
        self._forget_ended()
        if self._n_by_key[key] >= MOST_A_KEY or len(self._issued) >= MOST:
            raise Overloaded(f"too many tickets wait to be used; use them, or wait {LASTS_S} s")
        ticket = self._chance(24).hex()
        self._issued[_digest(ticket)] = _Issued(key, site, self._clock() + LASTS_S * 1_000_000)
        self._n_by_key[key] += 1
        return ticket

    def redeem(self, ticket: str, site: str) -> KeyId | None:
        """Whose it was; None where it is used, has ended, or is of another site. It is used up either way."""
        issued = self._take(_digest(ticket))
        return issued.key if issued is not None and issued.site == site and self._clock() < issued.ends_at else None

    def _forget_ended(self) -> None:
        now = self._clock()
        while self._issued and (first := next(iter(self._issued))) and self._issued[first].ends_at <= now:
            self._take(first)

    def _take(self, digest: bytes) -> _Issued | None:
        if (issued := self._issued.pop(digest, None)) is not None:
            self._n_by_key[issued.key] -= 1
            if not self._n_by_key[issued.key]:
                del self._n_by_key[issued.key]
        return issued


def _digest(ticket: str) -> bytes:
    return sha256(ticket.encode()).digest()
