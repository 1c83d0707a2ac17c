"""Simulated cameras in real time, through the same spool and sender as real ones."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct

from perception.emit import Emission
from perception.sinks import Sink
from perception.synthetic.demand import DEMO
from perception.synthetic.profiles import NoiseProfile
from perception.synthetic.simulate import Simulation
from site_models.schema import Site
from twin.events.ids import SECOND, Micros
from twin.events.observations import FrameObserved, TrackletEmbedded

_BEHIND: Micros = 5 * SECOND  # a worker that fell this far behind, say by sleeping with its laptop, leaves the gap out


class LiveSummary(Struct, frozen=True, kw_only=True):
    """What was simulated and handed to the sink."""

    schema: str = "twin.simulate_live/1"
    produced: int
    skipped: int
    seconds: float


def run_live(
    site: Site,
    sink: Sink,
    *,
    seed: int,
    profile: NoiseProfile,
    until_at: Micros | None,
    now: Callable[[], Micros],
    stopping: threading.Event,
) -> LiveSummary:
    """Generate from now on, each observation at its time of arrival, until a time or until told to stop.

    Args:
        now: wall clock.
        stopping: set to end; what was produced by then is in the sink.
    """
    start_at = now()
    simulation = Simulation(site, seed, profile, start_at, demand=DEMO, ticks=False, boot_epoch=sink.boot_epoch)
    produced = skipped = 0
    for arrival_at, event in simulation.events(until_at):
        late = now() - arrival_at
        if late < 0 and stopping.wait(-late / SECOND):
            break
        if stopping.is_set():
            break
        if late > _BEHIND:
            skipped += 1
            continue
        assert isinstance(event.payload, FrameObserved | TrackletEmbedded)
        sink.write([Emission(event.occurred_at, event.payload)])
        produced += 1
    return LiveSummary(produced=produced, skipped=skipped, seconds=round((now() - start_at) / SECOND, 3))
