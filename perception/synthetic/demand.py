"""How many vehicles come when, and how long they stay."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from twin.events.ids import SECOND, Micros

_HOUR = 3600 * SECOND
_PEAKS_H = ((8.0, 1.0, 1.4), (12.5, 0.7, 1.2), (17.5, 1.0, 1.6))  # hour of the day (UTC), height, width in hours
_NIGHT = 0.15  # of the day's level
_BUSY_ROAD_PER_H = 500.0  # vehicles an hour and entry, at a site without stalls


class Demand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What traffic is asked for.

    Attributes:
        arrivals_per_h: mean over a day; None: so many that ``occupancy`` of the stalls are used.
        initial_share: share of the stalls that are taken when the traffic begins.
        stay_median_s, stay_sigma: of the log-normal stay.
        rush: 0 for arrivals that are even over the day, 1 for rush hours and quiet nights.
        lookalike_share: share of vehicles that share model and colour with another.
        pass_through_share: share of vehicles that drive through without parking.
        speed_mps: what drivers like to go on a lane; None: 5 with stalls, 27 without.
        gate_wait_s: least and most time before the barrier of a gate, for a ticket. A boundary portal at a zone of kind
            "gate" has a barrier.
        tailgating_share: share of drivers who, close behind another, drive through a barrier that is still open.
        platoon_share: share of arrivals that bring one to three more vehicles close behind.
        back_in_share: share of drivers who back into their stall where they can.
        change_share: share of stays in which the driver moves to another stall after some minutes.
        double_park_share: share of vehicles that halt beside a stall, on the lane, and leave again.
        double_park_s: least and most time of such a halt; those behind wait.
        people_per_vehicle: who walk from a parked vehicle and back to it; 0: nobody walks.
    """

    arrivals_per_h: float | None = None
    occupancy: float = 0.5
    initial_share: float = 0.5
    stay_median_s: float = 2400.0
    stay_sigma: float = 0.8
    rush: float = 0.6
    lookalike_share: float = 0.2
    pass_through_share: float = 0.04
    speed_mps: float | None = None
    gate_wait_s: tuple[float, float] = (2.0, 5.0)
    tailgating_share: float = 0.1
    platoon_share: float = 0.06
    back_in_share: float = 0.2
    change_share: float = 0.03
    double_park_share: float = 0.02
    double_park_s: tuple[float, float] = (15.0, 60.0)
    people_per_vehicle: float = 1.4


DEMO = Demand(stay_median_s=240.0, rush=0.0, initial_share=0.5, occupancy=0.55)
"""Short stays, so that something happens every few seconds at any time of the day."""


def arrivals_per_s(demand: Demand, n_stalls: int, n_entries: int) -> float:
    """Mean arrivals a second; with stalls, by Little's law from the occupancy asked for."""
    if demand.arrivals_per_h is not None:
        return demand.arrivals_per_h / 3600
    if n_stalls == 0:
        return _BUSY_ROAD_PER_H * n_entries / 3600
    mean_stay_s = demand.stay_median_s * math.exp(demand.stay_sigma**2 / 2)
    return demand.occupancy * n_stalls / mean_stay_s / (1 - demand.pass_through_share - demand.double_park_share)


def rush_factor(at: Micros, rush: float) -> float:
    """Arrivals at a time of the day (UTC) as a multiple of the day's mean."""
    return 1 - rush + rush * _DAY[int(at % (24 * _HOUR) / _HOUR * 4)]


def stay_s(demand: Demand, rng: np.random.Generator) -> float:
    """One stay, at least 20 s."""
    return max(20.0, float(rng.lognormal(math.log(demand.stay_median_s), demand.stay_sigma)))


def rest_of_stay_s(demand: Demand, rng: np.random.Generator) -> float:
    """What is left of a stay found in progress: stays are found in proportion to their length, at any moment of it."""
    median = demand.stay_median_s * math.exp(demand.stay_sigma**2)
    return max(2.0, float(rng.uniform()) * float(rng.lognormal(math.log(median), demand.stay_sigma)))


def _profile() -> tuple[float, ...]:
    hours = np.arange(96) / 4
    level = np.full(96, _NIGHT)
    for peak, height, width in _PEAKS_H:
        distance = np.minimum(np.abs(hours - peak), 24 - np.abs(hours - peak))
        level += height * np.exp(-0.5 * (distance / width) ** 2)
    return tuple(float(one) for one in level / level.mean())


_DAY = _profile()
