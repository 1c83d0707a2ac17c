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
from retrieval.context import Anchor, Distance, Drive, Kind, Own, Place, Presence, Shot
from retrieval.weights import Terms, Weights, probabilities
from twin.events.ids import SECOND, Micros, TrackletId, VehicleId
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
        n_views, n_cameras: that ``look`` rests on.
    """

    vehicle: VehicleId
    shots: tuple[Shot, ...]
    look: float = 0.0
    reciprocal: float = 0.0
    plate: float = 0.0
    colour: float = 0.0
    place: Place | None = None
    n_views: int = 0
    n_cameras: int = 0


class Probe(Struct, frozen=True, kw_only=True):
    """What is asked for, beside how it looks.

    Attributes:
        itself_from: see ``context.own_shots``.
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
    shots: tuple[Shot, ...]


def rerank(candidates: Iterable[Candidate], probe: Probe, distance_m: Distance, weights: Weights) -> list[Ranked]:
    """Best first; equal scores by vehicle. The order of candidates and of their shots does not matter."""
    known = sorted(candidates, key=lambda one: one.vehicle)
    terms = terms_of(weights, probe.near)
    found = [evidence(one, probe, distance_m) for one in known]
    scores = [one.score(terms) for one in found]
    chances = probabilities(scores, terms.nobody)
    ranked = [
        Ranked(
            vehicle=one.vehicle,
            probability=chance,
            score=score,
            look=one.look,
            reasons=_reasons(one, each, probe.near),
            shots=tuple(sorted(one.shots, key=lambda shot: (-_look(shot), *_order(shot)))),
        )
        for one, each, score, chance in zip(known, found, scores, chances, strict=True)
    ]
    return sorted(ranked, key=lambda one: (-one.score, one.vehicle))


def terms_of(weights: Weights, near: Anchor) -> Terms:
    """Those of the kind of question; with half an anchor, looks count as without one."""
    if near.camera is not None and near.at is not None:
        return weights.anchored
    if near == Anchor():
        return weights.free
    return replace(weights.free, presence=weights.anchored.presence, reach=weights.anchored.reach)


def evidence(candidate: Candidate, probe: Probe, distance_m: Distance) -> Evidence:
    """What is known of one candidate; where the probe's place or time is not known, less follows."""
    shots, near = sorted(candidate.shots, key=_order), probe.near
    found = Evidence(
        look=candidate.look,
        reciprocal=candidate.reciprocal,
        plate=candidate.plate,
        colour=candidate.colour,
        kind=context.kinds(probe.kind, shots),
    )
    if near.camera is None:
        return found if near.at is None else replace(found, presence=context.presence(None, shots, near.at))
    if near.at is None:
        return replace(found, drive=context.nearest(shots, near.camera, distance_m))
    own, gap_s = context.own_shots(shots, near.camera, near.at, probe.itself_from)
    return replace(
        found,
        presence=context.presence(candidate.place, shots, near.at),
        drive=context.drive(shots, near.camera, near.at, distance_m),
        own=own,
        own_gap_s=gap_s,
    )


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
    return (*told, _seen(one.shots))


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


def _seen(shots: Sequence[Shot]) -> str:
    counts = Counter(shot.camera for shot in shots)
    told = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"seen by {camera} {_counted(n, 'time')}" for camera, n in told[:3]) or "not seen"


def _span(us: Micros) -> str:
    seconds = abs(us) / SECOND
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7_200.0 else f"{seconds / 3_600.0:.1f} h"


def _look(shot: Shot) -> float:
    return -2.0 if shot.look is None else shot.look


def _order(shot: Shot) -> tuple[Micros, str, str, str]:
    return shot.at, shot.camera, shot.tracklet, shot.crop or ""
