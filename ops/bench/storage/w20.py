"""W20: twenty cameras at ten frames a second, unchanged boxes thinned, default noise, on a generated site.

Stretches of a day, each simulated with a seed of its own, so that a mean over them stands for the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from perception.synthetic.profiles import DEFAULT
from perception.synthetic.simulate import Simulation
from site_models.generate import generate
from site_models.schema import Site
from twin.events.envelope import ObservationEvent
from twin.events.ids import SECOND, Micros

N_CAMERAS = 20
HOURS = (3, 8, 12, 17, 21)
"""Of the day, where the stretches begin: night, both rush hours, noon and evening."""

_MONDAY: Micros = 1_767_571_200 * SECOND


def site(n_stalls: int) -> Site:
    """The same one for all stretches."""
    return generate(n_cameras=N_CAMERAS, n_stalls=n_stalls, n_levels=1, overlap=0.2, seed=1)


def stretch(of: Site, number: int, seconds: int) -> Iterator[list[ObservationEvent]]:
    """What arrives in each second of stretch ``number``, from 0; more than there are hours go on with other seeds."""
    start_at = _MONDAY + (HOURS[number % len(HOURS)] * 3600) * SECOND
    simulation = Simulation(of, number + 1, DEFAULT, start_at)
    arrivals = simulation.events(start_at + seconds * SECOND)
    for _, arrived in groupby(arrivals, lambda one: (one[0] - start_at) // SECOND):
        yield [event for _, event in arrived]
