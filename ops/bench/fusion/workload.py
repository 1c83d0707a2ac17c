"""What is folded: simulated W20, and W20-dense, on generated sites that grow with their cameras."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from perception.synthetic.demand import Demand
from perception.synthetic.profiles import DEFAULT
from perception.synthetic.seeds import generator
from perception.synthetic.simulate import Simulation
from site_models.generate import generate
from site_models.schema import Site
from twin.events.envelope import ObservationEvent
from twin.events.ids import SECOND, CameraId, Micros, TrackletId
from twin.events.observations import ClockTicked, DetectedBox, FrameObserved

STALLS_A_CAMERA = 10
_DENSE_STALLS = 400
_JITTER_PX = 0.4  # of a detector's boxes of what stands still
_START_AT: Micros = (1_767_571_200 + 8 * 3600) * SECOND  # a Monday's rush hour
_FULL = Demand(initial_share=0.95, occupancy=0.9)


def site(n_cameras: int) -> Site:
    """Ten stalls a camera."""
    return generate(n_cameras=n_cameras, n_stalls=STALLS_A_CAMERA * n_cameras, n_levels=1, overlap=0.2, seed=1)


def dense_site() -> Site:
    """Twenty cameras that see about thirty vehicles each, when the stalls are taken."""
    return generate(n_cameras=20, n_stalls=_DENSE_STALLS, n_levels=1, overlap=0.2, seed=1)


def thinned(of: Site, seed: int, seconds: int) -> list[ObservationEvent]:
    """What cameras at ten frames a second send, by arrival; unchanged boxes are named only."""
    return [event for _, event in Simulation(of, seed, DEFAULT, _START_AT).events(_START_AT + seconds * SECOND)]


def dense(of: Site, seed: int, seconds: int) -> list[ObservationEvent]:
    """The same of a full site, every box in full: unchanged ones as a detector gives them, a little off each time."""
    last: dict[CameraId, dict[TrackletId, DetectedBox]] = {}
    rng = generator(seed, "dense")
    simulation = Simulation(of, seed, DEFAULT, _START_AT, demand=_FULL)
    return [_in_full(event, last, rng) for _, event in simulation.events(_START_AT + seconds * SECOND)]


def counts(events: Sequence[ObservationEvent]) -> tuple[int, int]:
    """Boxes and frames."""
    frames = [event.payload for event in events if isinstance(event.payload, FrameObserved)]
    return sum(len(frame.boxes) for frame in frames), len(frames)


def seconds(events: Sequence[ObservationEvent]) -> float:
    """Site time that these events span."""
    ticks = [event.occurred_at for event in events if isinstance(event.payload, ClockTicked)]
    return (ticks[-1] - ticks[0]) / SECOND


def slope(costs: Mapping[int, float]) -> float:
    """Of the straight line through the logarithms of size and cost."""
    x, y = ([math.log(value) for value in values] for values in (costs.keys(), costs.values()))
    return float(np.polyfit(x, y, 1)[0])


def _in_full(
    event: ObservationEvent, last: dict[CameraId, dict[TrackletId, DetectedBox]], rng: np.random.Generator
) -> ObservationEvent:
    frame = event.payload
    if not isinstance(frame, FrameObserved):
        return event
    known = last.setdefault(frame.camera, {})
    known |= {box.tracklet: box for box in frame.boxes}
    again = [_beside(known[name], rng) for name in frame.unchanged if name in known]
    return replace(event, payload=replace(frame, boxes=(*frame.boxes, *again), unchanged=()))


def _beside(box: DetectedBox, rng: np.random.Generator) -> DetectedBox:
    x1, y1, x2, y2 = box.box_px
    a, b, c, d = rng.normal(0.0, _JITTER_PX, 4).tolist()
    return replace(box, box_px=(round(x1 + a, 1), round(y1 + b, 1), round(x2 + c, 1), round(y2 + d, 1)))
