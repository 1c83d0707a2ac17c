"""How long vehicles stand in stalls, and how long stalls are free: a pure fold of what is said of them.

A parking is a stall's being occupied by one vehicle, from when it became so until it is free or another's. What is not known in
between does not end it; what began or ended while nothing was known of the stall has no length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from twin.events.facts import StallState
from twin.events.ids import Micros, StallId, VehicleId


class Ended(Struct, frozen=True, kw_only=True):
    """A parking that is over; ``length`` in microseconds, None where its beginning or its end was not seen."""

    stall: StallId
    length: Micros | None


@dataclass(kw_only=True)
class StallTime:
    """Microseconds that a stall was so.

    Attributes:
        known: that it was free, or occupied while cameras that deliver looked at it.
    """

    occupied: Micros = 0
    free: Micros = 0
    unknown: Micros = 0
    known: Micros = 0


@dataclass(kw_only=True)
class _Stall:
    state: StallState
    vehicle: VehicleId | None
    is_held: bool
    began_at: Micros | None = None
    is_unseen: bool = False
    since_at: Micros = 0
    time: StallTime = field(default_factory=StallTime)


class Parkings:
    """The parkings of a site's stalls and what time they take, of facts in the order of their times.

    Args:
        stalls: what each is when the fold begins, and whose.
        from_at: what is counted begins here; facts before tell since when vehicles stand.

    Attributes:
        arrivals: stalls that somebody came to after ``from_at``, once for each who did.
        ended: parkings that were over after ``from_at``.
    """

    def __init__(self, stalls: Mapping[StallId, tuple[StallState, VehicleId | None]], from_at: Micros) -> None:
        self.arrivals: list[StallId] = []
        self.ended: list[Ended] = []
        self._from_at = from_at
        self._by_id = {
            name: _Stall(state=state, vehicle=vehicle, is_held=state == "occupied", since_at=from_at)
            for name, (state, vehicle) in stalls.items()
        }

    def say(self, name: StallId, state: StallState, vehicle: VehicleId | None, at: Micros) -> None:
        """Something was said of a stall; one that the site does not have is let be."""
        stall = self._by_id.get(name)
        if stall is None:
            return
        self._pass(stall, at)
        if state == "free":
            self._end(name, stall, at)
        elif state == "occupied":
            self._occupy(name, stall, vehicle, at)
        stall.state = state

    def merge(self, merged: VehicleId, vehicle: VehicleId) -> None:
        """Two names were found to be one vehicle: nobody came or left by that."""
        for stall in self._by_id.values():
            if stall.vehicle == merged:
                stall.vehicle = vehicle

    def watch(self, unseen: Iterable[StallId], at: Micros) -> None:
        """From now on no camera that delivers looks at these."""
        names = frozenset(unseen)
        for name, stall in self._by_id.items():
            if stall.is_unseen != (name in names):
                self._pass(stall, at)
                stall.is_unseen = name in names

    def times(self, until_at: Micros) -> dict[StallId, StallTime]:
        """What each stall was from ``from_at`` until a time; nothing can be said after."""
        for stall in self._by_id.values():
            self._pass(stall, until_at)
        return {name: stall.time for name, stall in self._by_id.items()}

    def _occupy(self, name: StallId, stall: _Stall, vehicle: VehicleId | None, at: Micros) -> None:
        is_another = stall.vehicle is not None and vehicle is not None and stall.vehicle != vehicle
        if stall.is_held and not is_another:
            stall.vehicle = stall.vehicle or vehicle  # who is only seen to be there may be anybody
            return
        self._end(name, stall, at)
        is_seen = stall.state != "unknown"
        stall.vehicle, stall.is_held, stall.began_at = vehicle, True, at if is_seen else None
        if is_seen and at > self._from_at:
            self.arrivals.append(name)

    def _end(self, name: StallId, stall: _Stall, at: Micros) -> None:
        if stall.is_held and at > self._from_at:
            is_measured = stall.state == "occupied" and stall.began_at is not None
            self.ended.append(Ended(stall=name, length=at - (stall.began_at or 0) if is_measured else None))
        stall.vehicle, stall.is_held, stall.began_at = None, False, None

    def _pass(self, stall: _Stall, at: Micros) -> None:
        """Count what a stall was until now."""
        passed = at - stall.since_at
        if passed <= 0:
            return
        time, stall.since_at = stall.time, at
        if stall.state == "occupied":
            time.occupied += passed
        elif stall.state == "free" and not stall.is_unseen:
            time.free += passed
        else:
            time.unknown += passed
        if stall.state != "unknown" and not stall.is_unseen:
            time.known += passed
