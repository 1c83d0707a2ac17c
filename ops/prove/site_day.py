"""Site-days: small, busy sites whose observations are made in a second. Faults, not traffic, are what proofs explore."""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from perception.synthetic.demand import Demand
from perception.synthetic.profiles import HARSH
from perception.synthetic.simulate import Simulation
from site_models.generate import generate
from site_models.schema import SiteId
from twin.evaluation.offline import with_clock
from twin.events.envelope import ObservationEvent
from twin.events.ids import SECOND

_GENERATED = replace(generate(n_cameras=2, n_stalls=8, n_levels=1, overlap=0.3, seed=1), name=SiteId("proof_site"))
START_AT = 1_767_582_000 * SECOND
BUSY = Demand(arrivals_per_h=240.0, initial_share=0.25, stay_median_s=40.0, stay_sigma=0.5, rush=0.0, people_per_vehicle=0.0)


PROOF_SITE = replace(_GENERATED, cameras=tuple(replace(camera, fps=2.0) for camera in _GENERATED.cameras))
"""2 cameras of 2 frames/s, 8 stalls."""


@lru_cache(maxsize=4)
def site_day(seed: int, seconds: int = 150) -> tuple[ObservationEvent, ...]:
    """A vehicle every fifteen seconds, with the harsh profile's faults and late frames, and a clock."""
    simulation = Simulation(PROOF_SITE, seed, HARSH, START_AT, demand=BUSY, ticks=False)
    events = (event for _, event in simulation.events(START_AT + seconds * SECOND))
    return tuple(with_clock(events, PROOF_SITE.name))
