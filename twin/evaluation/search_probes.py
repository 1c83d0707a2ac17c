"""The probes of a search's evaluation: whole passages of vehicles through a camera's view, taken out before anything is fused.

So neither the twin's identities nor what search learns of a vehicle rests on the picture that is searched with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as dataclass_replace

from msgspec.structs import replace

from perception.synthetic.seeds import generator
from twin.evaluation.tracklet_truth import Labelled
from twin.events.envelope import ObservationEvent
from twin.events.ids import SECOND, CameraId, Micros, TrackletId
from twin.events.observations import FrameObserved, TrackletEmbedded

GAP_US: Micros = 120 * SECOND
"""Out of a camera's view for longer: the next passage. One that stands is lost behind others for a minute."""
MOST_PROBES = 40
VEHICLE_SHARE = 3
"""One in so many vehicles is asked for, so that most of what the twin sees stays."""


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A vehicle in one camera's view, from its coming into it to its going."""

    vehicle: str
    camera: CameraId
    first_at: Micros
    last_at: Micros
    tracklets: frozenset[TrackletId]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A passage with its best view."""

    passage: Passage
    view: TrackletEmbedded
    at: Micros


def passages_of(tracklets: Iterable[Labelled]) -> list[Passage]:
    """Every passage, by vehicle, camera and time."""
    by_place: dict[tuple[str, CameraId], list[Labelled]] = {}
    for one in tracklets:
        if one.vehicle is not None:
            by_place.setdefault((one.vehicle, one.camera), []).append(one)
    found = list[Passage]()
    for (vehicle, camera), seen in sorted(by_place.items()):
        group, until = list[Labelled](), 0
        for one in sorted(seen, key=lambda each: (each.first_at, each.tracklet)):
            if group and one.first_at - until > GAP_US:
                found.append(_passage(vehicle, camera, group))
                group = []
            group.append(one)
            until = max(until, one.last_at) if len(group) > 1 else one.last_at
        found.append(_passage(vehicle, camera, group))
    return found


def chosen(passages: Sequence[Passage], views: Mapping[TrackletId, Sequence[ObservationEvent]], seed: int) -> list[Probe]:
    """A passage each of some vehicles that are seen elsewhere too, drawn by the seed.

    Args:
        views: of tracklets, ``TrackletEmbedded``.
    """
    by_vehicle: dict[str, list[Passage]] = {}
    for one in passages:
        if any(views.get(name) for name in one.tracklets):
            by_vehicle.setdefault(one.vehicle, []).append(one)
    candidates = sorted(name for name, seen in by_vehicle.items() if len(seen) > 1)
    rng = generator(seed, "search probes")
    n_probes = min(MOST_PROBES, -(-len(candidates) // VEHICLE_SHARE))
    names = [candidates[int(row)] for row in rng.permutation(len(candidates))[:n_probes]]
    return [_probe(by_vehicle[name][int(rng.integers(len(by_vehicle[name])))], views) for name in sorted(names)]


def without(events: Iterable[ObservationEvent], probes: Sequence[Probe]) -> Iterator[ObservationEvent]:
    """Observations in which nobody saw the probes' passages."""
    gone = frozenset(name for probe in probes for name in probe.passage.tracklets)
    for event in events:
        payload = event.payload
        if isinstance(payload, TrackletEmbedded) and payload.tracklet in gone:
            continue
        if isinstance(payload, FrameObserved) and gone & {*(box.tracklet for box in payload.boxes), *payload.unchanged}:
            boxes = tuple(box for box in payload.boxes if box.tracklet not in gone)
            unchanged = tuple(one for one in payload.unchanged if one not in gone)
            yield replace(event, payload=replace(payload, boxes=boxes, unchanged=unchanged))
        else:
            yield event


def whole(probes: Sequence[Probe], tracklets: Iterable[Labelled]) -> list[Probe]:
    """The probes with what of their passages is too little seen to be anybody's: it shows them in some frame, at that time."""
    every = list(tracklets)
    found = list[Probe]()
    for probe in probes:
        one = probe.passage
        more = frozenset(
            each.tracklet
            for each in every
            if each.camera == one.camera
            and each.votes[one.vehicle]
            and each.vehicle is None
            and each.first_at <= one.last_at + SECOND
            and each.last_at >= one.first_at - SECOND
        )
        found.append(Probe(passage=dataclass_replace(one, tracklets=one.tracklets | more), view=probe.view, at=probe.at))
    return found


def _passage(vehicle: str, camera: CameraId, group: Sequence[Labelled]) -> Passage:
    return Passage(
        vehicle=vehicle,
        camera=camera,
        first_at=min(one.first_at for one in group),
        last_at=max(one.last_at for one in group),
        tracklets=frozenset(one.tracklet for one in group),
    )


def _probe(passage: Passage, views: Mapping[TrackletId, Sequence[ObservationEvent]]) -> Probe:
    every = [
        (event.payload, event.occurred_at)
        for name in sorted(passage.tracklets)
        for event in views.get(name, ())
        if isinstance(event.payload, TrackletEmbedded)
    ]
    view, at = max(every, key=lambda one: (one[0].quality, -one[1], one[0].tracklet))
    return Probe(passage=passage, view=view, at=at)
