"""W20: twenty cameras at ten frames a second, unchanged boxes thinned, default noise, on a generated site.

Stretches of a day, each simulated with a seed of its own, so that a mean over them stands for the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from msgspec.structs import replace

from perception.synthetic.profiles import DEFAULT
from perception.synthetic.simulate import Simulation
from site_models.generate import generate
from site_models.schema import Site
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND, Micros, TrackletId
from twin.events.observations import FrameObserved, TrackletEmbedded

N_CAMERAS = 20
HOURS = (3, 8, 12, 17, 21)
"""Of the day, where the stretches begin: night, both rush hours, noon and evening."""

AGED_OBSERVATIONS = 300_000_000
"""The last position of a log of two weeks."""

_MONDAY: Micros = 1_767_571_200 * SECOND
_BOOTED_S, _SEQUENCES, _TRACKLETS = 1_767_484_800, 5_000_000, 20_000


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


def aged(event: ObservationEvent) -> ObservationEvent:
    """An observation as an edge worker sends it that started some days before: its boot epoch is a time, in names too."""
    key = DeviceKey(device=event.key.device, boot_epoch=_BOOTED_S, sequence=event.key.sequence + _SEQUENCES)
    payload = event.payload
    if isinstance(payload, FrameObserved):
        boxes = tuple(replace(box, tracklet=_renamed(box.tracklet)) for box in payload.boxes)
        payload = replace(payload, boxes=boxes, unchanged=tuple(map(_renamed, payload.unchanged)))
    elif isinstance(payload, TrackletEmbedded):
        payload = replace(payload, tracklet=_renamed(payload.tracklet))
    return replace(event, key=key, payload=payload)


def _renamed(simulated: TrackletId) -> TrackletId:
    """``camera.1.n`` as ``perception.track`` names it."""
    camera, _, number = simulated.rsplit(".", 2)
    return TrackletId(f"{camera}:{_BOOTED_S}:{int(number) + _TRACKLETS}")
