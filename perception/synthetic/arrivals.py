"""When vehicles come: singly or in small groups, more of them in rush hours."""

from __future__ import annotations

import numpy as np

from perception.synthetic import demand as demands
from perception.synthetic.demand import Demand
from twin.events.ids import SECOND, Micros

_MORE = (1, 2, 3)  # vehicles behind the first of a group
_BEHIND_S = (0.5, 2.5)


class Arrivals:
    """A Poisson process of single vehicles and groups, whose rate follows the time of the day."""

    def __init__(self, demand: Demand, per_s: float, rng: np.random.Generator) -> None:
        self._demand, self._rng = demand, rng
        self._per_s = per_s / (1 + demand.platoon_share * float(np.mean(_MORE)))
        self._peak = max(demands.rush_factor(quarter * 900 * SECOND, demand.rush) for quarter in range(96))

    def next_at(self, at: Micros) -> Micros:
        """The first arrival after a time, by thinning."""
        while True:
            at += max(1, round(float(self._rng.exponential(1 / (self._per_s * self._peak))) * SECOND))
            if self._rng.uniform() * self._peak <= demands.rush_factor(at, self._demand.rush):
                return at

    def group(self, at: Micros) -> list[Micros]:
        """When the vehicles of an arrival come: most come alone."""
        group = [at]
        if self._rng.uniform() < self._demand.platoon_share:
            for _ in range(int(self._rng.choice(_MORE))):
                group.append(group[-1] + round(float(self._rng.uniform(*_BEHIND_S)) * SECOND))
        return group
