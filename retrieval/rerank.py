"""Ranks vehicles by how alike they look and by what the twin knows of them: probabilities, with reasons in words. Pure.

Every candidate's evidence is put into nats (``retrieval.appearance``, ``retrieval.context``), weighted as learned
(``retrieval.weights``), and compared with all others' and with nobody's. Nothing is cut off: what is impossible sinks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import exp, fsum, inf
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from retrieval import context
from retrieval.appearance import Looks
from retrieval.columns import Columns, ShotTable, best_first, columns_of
from retrieval.context import Anchor, Distance, Drive, Kind, Own, Place, Presence, Shot
from retrieval.weights import Terms, Weights, probabilities
from twin.events.ids import SECOND, CameraId, Micros, TrackletId, VehicleId
from twin.events.observations import VehicleKind

MISTAKEN = 0.02
"""Share of tracklets that are assigned to a vehicle that they do not show, about as measured on simulated sites."""


class Candidate(Struct, frozen=True, kw_only=True):
    """A vehicle, its shots, and how alike it looks.

    Attributes:
        look: nats for one vehicle, of all its views together.
        reciprocal: 0..1, of its shot whose neighbourhood agrees best with the probe's.
        plate, colour: nats.
        place: where the twin had it at the anchor's time; None: nowhere on the site.
        looks: by camera, where it is to be compared with more than the probe.
        n_views, n_cameras: that ``look`` rests on.
    """

    vehicle: VehicleId
    shots: Sequence[Shot]
    look: float = 0.0
    reciprocal: float = 0.0
    plate: float = 0.0
    colour: float = 0.0
    place: Place | None = None
    looks: Looks | None = None
    n_views: int = 0
    n_cameras: int = 0


class Probe(Struct, frozen=True, kw_only=True):
    """What is asked for, beside how it looks.

    Attributes:
        itself_from: cosine from which two views of one moment are of one tracklet.
    """

    near: Anchor = Anchor()
    kind: VehicleKind | None = None
    itself_from: float = 1.0


class Evidence(Struct, frozen=True, kw_only=True):
    """What speaks for one candidate, before it is weighed."""

    look: float
    reciprocal: float
    plate: float
    colour: float
    kind: Kind
    presence: Presence | None = None
    drive: Drive | None = None
    own: Own | None = None
    own_gap_s: float = inf

    def score(self, terms: Terms) -> float:
        """The sum of what is known, in nats."""
        known = terms.look * self.look + terms.reciprocal * self.reciprocal + terms.plate * self.plate
        known += terms.colour * self.colour + terms.kind.get(self.kind, 0.0)
        if self.presence is not None:
            known += terms.presence.get(self.presence, 0.0)
        if self.drive is not None:
            known += terms.reach.get(self.drive.reach, 0.0)
        return known if self.own is None else known + terms.own.get(self.own, 0.0)


class Ranked(Struct, frozen=True, kw_only=True):
    """A vehicle with what speaks for it.

    Attributes:
        probability: that the probe shows it; with those of all others and of nobody known, 1.
        score: nats, of all that is known. look: nats, of how it looks alone.
        shots: those that were compared, the most alike first.
    """

    vehicle: VehicleId
    probability: float
    score: float
    look: float
    reasons: tuple[str, ...]
    shots: Sequence[Shot]


class Ranking(Struct, frozen=True, kw_only=True):
    """Candidates in order, with what speaks for each; what is told of them in words is made of those that are asked for.

    Attributes:
        order: places in the columns, best first; equal scores by vehicle.
        candidates, found, scores, chances: by vehicle.
    """

    near: Anchor
    order: Sequence[int]
    candidates: Sequence[Candidate]
    found: Sequence[Evidence]
    scores: Sequence[float]
    chances: Sequence[float]

    def told(self, first: int = 0, n: int | None = None) -> list[Ranked]:
        """So many from a place on; all without a number."""
        return [self._told(place) for place in self.order[first : None if n is None else first + n]]

    @property
    def best(self) -> tuple[VehicleId, float] | None:
        """The likeliest vehicle and its probability."""
        if not self.order:
            return None
        return self.candidates[self.order[0]].vehicle, self.chances[self.order[0]]

    @property
    def probability_of(self) -> dict[VehicleId, float]:
        """That the probe shows each vehicle."""
        return {one.vehicle: chance for one, chance in zip(self.candidates, self.chances, strict=True)}

    def _told(self, place: int) -> Ranked:
        one = self.candidates[place]
        shots = best_first(one.shots)
        return Ranked(
            vehicle=one.vehicle,
            probability=self.chances[place],
            score=self.scores[place],
            look=one.look,
            reasons=_reasons(one, self.found[place], self.near),
            shots=shots,
        )


def rerank(candidates: Iterable[Candidate], probe: Probe, distance_m: Distance, weights: Weights) -> Ranking:
    """Best first; equal scores by vehicle. The order of candidates and of their shots does not matter."""
    known = sorted(candidates, key=lambda one: one.vehicle)
    terms = terms_of(weights, probe.near)
    found = evidence(known, probe, distance_m)
    scores = [one.score(terms) for one in found]
    return Ranking(
        near=probe.near,
        order=sorted(range(len(known)), key=lambda place: -scores[place]),
        candidates=known,
        found=found,
        scores=scores,
        chances=probabilities(scores, terms.nobody),
    )


def terms_of(weights: Weights, near: Anchor) -> Terms:
    """Those of the kind of question; with half an anchor, looks count as without one."""
    if near.camera is not None and near.at is not None:
        return weights.anchored
    if near == Anchor():
        return weights.free
    return replace(weights.free, presence=weights.anchored.presence, reach=weights.anchored.reach)


def evidence(candidates: Sequence[Candidate], probe: Probe, distance_m: Distance) -> list[Evidence]:
    """What is known of each candidate; where the probe's place or time is not known, less follows."""
    n, near = len(candidates), probe.near
    table = ShotTable([columns_of(one.shots) for one in candidates])
    kinds = table.kinds(probe.kind)
    presences: Sequence[Presence | None] = [None] * n
    drives: Sequence[Drive | None] = [None] * n
    own: Sequence[tuple[Own | None, float]] = [(None, inf)] * n
    if near.at is not None:
        places = [one.place if near.camera is not None else None for one in candidates]
        spans = zip(places, table.first_at.tolist(), table.last_at.tolist(), strict=True)
        presences = [context.presence(place, first_at, last_at, near.at) for place, first_at, last_at in spans]
    if near.camera is not None and near.at is not None:
        drives = table.drives(near.camera, near.at, distance_m)
        own = table.own(near.camera, near.at, probe.itself_from)
    elif near.camera is not None:
        drives = table.nearest(near.camera, distance_m)
    return [
        Evidence(
            look=one.look,
            reciprocal=one.reciprocal,
            plate=one.plate,
            colour=one.colour,
            kind=kind,
            presence=presence,
            drive=drive,
            own=of_own,
            own_gap_s=gap_s,
        )
        for one, kind, presence, drive, (of_own, gap_s) in zip(candidates, kinds, presences, drives, own, strict=True)
    ]


class Stray(Struct, frozen=True, kw_only=True):
    """Tracklets before one camera that the twin takes for no vehicle, and that are one thing by their place in the picture.

    Attributes:
        look: nats for the probe's vehicle, of all its views together.
        likely: the vehicles that it may be, by its look and by where they were, with their probabilities.
        probability: that the probe shows it.
    """

    tracklets: tuple[TrackletId, ...]
    look: float
    shots: tuple[Shot, ...]
    likely: Mapping[VehicleId, float] = MappingProxyType({})
    probability: float = 0.0


def stray_chance(own: float, likely: Mapping[VehicleId, float], of_vehicle: Mapping[VehicleId, float]) -> float:
    """Probability that the probe shows a stray: as one of the vehicles that it may be, or by its own look.

    Args:
        own: by its own look alone, if it is nobody known.
        of_vehicle: that the probe shows each vehicle.
    """
    known = fsum(likely.values())
    return fsum(share * of_vehicle.get(vehicle, 0.0) for vehicle, share in likely.items()) + max(0.0, 1.0 - known) * own


def tracklet_chance(nats: float, vehicle_chance: float | None, n_vehicles: int) -> float:
    """Probability that a tracklet shows the probe's vehicle, by its own look and by whom the twin takes it for.

    Args:
        nats: of its own look, weighed.
        vehicle_chance: that the vehicle to which it is assigned is the probe's; None: it is assigned to none.
        n_vehicles: whose tracklet it may be else.
    """
    odds = exp(max(-60.0, min(60.0, nats)))
    others = MISTAKEN / max(1, n_vehicles) * odds
    if vehicle_chance is None:
        free = odds / max(1, n_vehicles)
        return free / (free + 1.0)
    rightly = (1.0 - MISTAKEN) * odds / ((1.0 - MISTAKEN) * odds + MISTAKEN)
    return vehicle_chance * rightly + (1.0 - vehicle_chance) * others / (others + 1.0)


def look_share(nats: float) -> float:
    """How likely one vehicle is by its look alone, if it were as likely as not before: 0..1.

    >>> look_share(0.0)
    0.5
    """
    return 1.0 / (1.0 + exp(-max(-700.0, min(700.0, nats))))


def _reasons(one: Candidate, found: Evidence, near: Anchor) -> tuple[str, ...]:
    told = [_look_reason(one)]
    if found.presence is not None and near.at is not None and (near.camera is not None or found.presence != "unknown"):
        told.append(_presence_reason(found.presence, one, near))
    if found.drive is not None and found.drive.reach != "unknown":
        told.append(_drive_reason(found.drive, near))
    if found.own == "itself":
        told.append(f"{near.camera} saw it at that moment, looking just so")
    if found.own == "same_moment":
        told.append(f"excluded: {near.camera} saw it as somebody else {found.own_gap_s:.0f} s from then")
    if found.own == "seconds":
        told.append(f"{near.camera} saw it as another {found.own_gap_s:.0f} s from then")
    if found.kind == "other":
        told.append("of another kind")
    if one.plate:
        told.append(f"the plate {'agrees' if one.plate > 0 else 'disagrees'} ({one.plate:+.1f})")
    if one.colour:
        told.append(f"the colour {'agrees' if one.colour > 0 else 'disagrees'} ({one.colour:+.1f})")
    return (*told, _seen(columns_of(one.shots)))


def _look_reason(one: Candidate) -> str:
    told = f"{look_share(one.look):.2f} look"
    if one.n_views:
        told += f", {_counted(one.n_views, 'view')} of {_counted(one.n_cameras, 'camera')}"
    return told


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n != 1 else ''}"


def _presence_reason(found: Presence, one: Candidate, near: Anchor) -> str:
    place, camera = one.place, near.camera
    where = "" if place is None or not place.where else f", {'parked in' if place.is_parked else 'in'} {place.where}"
    match found:
        case "in_view":
            return f"in view of {camera} then{where}"
        case "beside_view" | "elsewhere":
            assert place is not None
            far = "on another level" if place.to_view_m == inf else f"{place.to_view_m:.0f} m from the view of {camera}"
            return f"{far} then{where}"
        case "lost_near" | "lost_far":
            assert place is not None
            assert near.at is not None
            ago = _span(near.at - place.seen_at)
            verdict = "may be in view" if found == "lost_near" else "too far away"
            return f"out of sight for {ago} then{where}: {verdict}"
        case "not_come":
            return "not seen before then"
        case "gone":
            return "not seen after then"
        case _:
            return "not known where it was then"


def _drive_reason(found: Drive, near: Anchor) -> str:
    if near.at is None:
        far = "no way to" if found.reach == "no_way" else f"{found.metres:.0f} m from"
        return f"seen by {found.camera}, {far} {near.camera}"
    if found.reach == "no_way":
        return f"not reachable: no way between {found.camera} and {near.camera}"
    if found.metres <= 0.0 and found.reach == "standing":
        return f"seen {_span(round(found.seconds * SECOND))} from then by {found.camera}, beside {near.camera}"
    verdict = "not reachable" if found.reach == "impossible" else "reachable"
    return f"{verdict} in {_span(round(found.seconds * SECOND))}: {found.metres:.0f} m from {found.camera}"


def _seen(seen: Columns) -> str:
    codes: list[int] = seen.camera.tolist()
    counts: Counter[CameraId] = Counter(seen.cameras[code] for code in codes)
    told = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"seen by {camera} {_counted(n, 'time')}" for camera, n in told[:3]) or "not seen"


def _span(us: Micros) -> str:
    seconds = abs(us) / SECOND
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7_200.0 else f"{seconds / 3_600.0:.1f} h"
