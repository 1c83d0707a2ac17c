"""Barriers at the gates: who waits how long for a ticket, and who drives through close behind the one before.

A barrier opens for the vehicle that waited before it, and closes when its tail has been past it for a moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from perception.synthetic.demand import Demand
from perception.synthetic.drive import TICK, Drive, Road, planned
from perception.synthetic.routes import Gate
from perception.synthetic.trips import Trip
from twin.events.ids import SECOND, Micros

CLOSES_AFTER: Micros = 3 * SECOND
"""How long a barrier stays up when a tail has passed it."""


class Barriers:
    """The barriers of a site and who passes them when."""

    def __init__(self, demand: Demand, rng: np.random.Generator) -> None:
        self._demand, self._rng = demand, rng
        self._passages: defaultdict[Gate, list[tuple[Micros, Micros]]] = defaultdict(list)

    def waits(self, trip: Trip) -> Iterator[dict[int, int]]:
        """Ticks to stand at each step where the trip stops; whoever would tailgate tries first without one barrier's."""
        waits = {barrier.stop: self._ticks(self._demand.gate_wait_s) for barrier in trip.barriers}
        if trip.halt:
            waits[trip.halt] = self._ticks(self._demand.double_park_s)
        if trip.barriers and self._rng.uniform() < self._demand.tailgating_share:
            for barrier in trip.barriers:
                yield {step: ticks for step, ticks in waits.items() if step != barrier.stop}
        yield waits

    def lets_pass(self, drive: Drive, trip: Trip, waits: dict[int, int]) -> bool:
        """Whether every barrier that the drive does not wait at is open for it."""
        skipped = [barrier for barrier in trip.barriers if barrier.stop not in waits]
        return all(self._is_open(barrier.gate, drive.reaches_at(barrier.reaches)) for barrier in skipped)

    def note(self, drive: Drive, trip: Trip) -> None:
        """Remember when the drive passes."""
        for barrier in trip.barriers:
            passage = drive.reaches_at(barrier.reaches), drive.reaches_at(barrier.clears)
            self._passages[barrier.gate].append(passage)

    def drive(self, road: Road, trip: Trip, at: Micros, *, is_parked: bool) -> Drive | None:
        """A drive on the next tick, past the barriers, with its room taken; None: not now."""
        start_at = -(-at // TICK) * TICK
        for waits in self.waits(trip):
            stopping = trip.stopping(waits)
            drive = planned(road, stopping.path, start_at, speed=stopping.speed, is_parked_at_first=is_parked, waits=waits)
            if drive is not None and self.lets_pass(drive, trip, waits):
                road.take(drive)
                self.note(drive, trip)
                return drive
        return None

    def forget(self, before_at: Micros) -> None:
        """Drop passages behind which the barrier has closed."""
        for gate, passages in self._passages.items():
            self._passages[gate] = [one for one in passages if one[1] + CLOSES_AFTER > before_at]

    def _is_open(self, gate: Gate, at: Micros) -> bool:
        return any(reached_at < at <= cleared_at + CLOSES_AFTER for reached_at, cleared_at in self._passages[gate])

    def _ticks(self, between_s: tuple[float, float]) -> int:
        return round(float(self._rng.uniform(*between_s)) * SECOND / TICK)
