"""How often somebody may ask, and how much send: a moving window for requests, two counters a window for what is sent.

A moving window keeps a mark for every unit, which is right for what people ask and too much for bytes and frames.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Literal

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from msgspec import Struct

from twin.errors import RateLimited
from twin.log.clock import Clock

Kind = Literal["reads", "searches", "sends", "ingest", "failures"]

MOST_NAMES = 10_000
_SENT_WINDOW_S = 10  # so that one largest body passes at the lowest rate that can be set, and what waited comes at once
_WORDS: Mapping[Kind, str] = {
    "reads": "requests",
    "searches": "searches",
    "sends": "requests that send observations, pictures or payments",
    "ingest": "bytes of observations and pictures",
    "failures": "wrong keys from this address",
}


class RateLimits(Struct, frozen=True, kw_only=True):
    """What one key may do, or one address where access is open; None bounds nothing."""

    reads_per_s: int | None = None
    searches_per_s: int | None = None
    sends_per_s: int | None = None
    ingest_bytes_per_s: int | None = None
    failures_per_minute: int | None = None


class Rates:
    """Counts by name. At most ``MOST_NAMES`` names of a kind are remembered; whoever was quiet longest is forgotten first."""

    def __init__(self, limits: RateLimits, clock: Clock) -> None:
        storage = MemoryStorage() if limits != RateLimits() else None  # it has a thread
        self._limiter_by_kind: dict[Kind, tuple[RateLimiter, RateLimitItem]] = {}
        if storage is not None:
            moving, counting = MovingWindowRateLimiter(storage), SlidingWindowCounterRateLimiter(storage)
            if (reads := limits.reads_per_s) is not None:
                self._limiter_by_kind["reads"] = (moving, RateLimitItemPerSecond(reads))
            if (searches := limits.searches_per_s) is not None:
                self._limiter_by_kind["searches"] = (moving, RateLimitItemPerSecond(searches))
            if (failures := limits.failures_per_minute) is not None:
                self._limiter_by_kind["failures"] = (moving, RateLimitItemPerMinute(failures))
            if (sends := limits.sends_per_s) is not None:
                window = RateLimitItemPerSecond(sends * _SENT_WINDOW_S, _SENT_WINDOW_S)
                self._limiter_by_kind["sends"] = (counting, window)
            if (n_bytes := limits.ingest_bytes_per_s) is not None:
                window = RateLimitItemPerSecond(n_bytes * _SENT_WINDOW_S, _SENT_WINDOW_S)
                self._limiter_by_kind["ingest"] = (counting, window)
        self._names: dict[Kind, OrderedDict[str, None]] = {kind: OrderedDict() for kind in self._limiter_by_kind}
        self._clock = clock

    def charge(self, kind: Kind, name: str, cost: int = 1) -> None:
        """Count this; raises RateLimited where it is too much now."""
        if kind not in self._limiter_by_kind:
            return
        limiter, item = self._limiter_by_kind[kind]
        self._remember(kind, name)
        if not limiter.hit(item, kind, name, cost=cost):
            reset_s = limiter.get_window_stats(item, kind, name).reset_time - self._clock() / 1_000_000
            wait_s = min(max(1, ceil(reset_s)), item.get_expiry())
            raise RateLimited(
                f"more than {item.amount} {_WORDS[kind]} in {item.get_expiry()} s; try again in {wait_s} s", wait_s=wait_s
            )

    def n_names(self, kind: Kind) -> int:
        """How many names are remembered."""
        return len(self._names.get(kind, ()))

    def _remember(self, kind: Kind, name: str) -> None:
        names, (limiter, item) = self._names[kind], self._limiter_by_kind[kind]
        names[name] = None
        names.move_to_end(name)
        if len(names) > MOST_NAMES:
            oldest, _ = names.popitem(last=False)
            limiter.clear(item, kind, oldest)


def name_of_address(address: str) -> str:
    """What an address is counted under: itself, or the network of 2^64 that one IPv6 host may have all of."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return f"{ip.exploded[:19]}::/64" if isinstance(ip, IPv6Address) else address
