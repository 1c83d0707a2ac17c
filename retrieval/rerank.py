"""Ranks vehicles by how alike they look and by whether they can have been there. Pure.

look: cosines become probabilities by a logistic; a vehicle's look is the mean of its best shot and of its best few.
context, with an anchor (the probe was seen by a camera, at a time): the probability that one drive joins the anchor with
the vehicle's sightings around it, times how near they are. Without: how often and how lately it was seen.
score = look * context ** weight. Nothing is cut off: what is impossible sinks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import exp, fsum, isinf, log1p

from msgspec import Struct

from twin.events.ids import SECOND, CameraId, CropId, Micros, TrackletId, VehicleId

Distance = Callable[[CameraId, CameraId], float]
"""Metres of the shortest drive from what one camera sees to what another sees; infinity where there is none."""


class Logistic(Struct, frozen=True, kw_only=True):
    """cosine -> 1 / (1 + exp(-(cosine - midpoint) / scale)).

    Attributes:
        midpoint: the cosine at which "same vehicle" is as likely as not.
        scale: how fast it changes around there.
    """

    midpoint: float
    scale: float

    def probability(self, cosine: float) -> float:
        """Strictly between 0 and 1, growing with the cosine."""
        return 1.0 / (1.0 + exp(-max(-60.0, min(60.0, (cosine - self.midpoint) / self.scale))))


class RerankParameters(Struct, frozen=True, kw_only=True):
    """What the ranking rests on.

    Attributes:
        n_pooled: shots of a vehicle that its look is pooled from.
        speed_cap_mps: the needed speed that is as plausible as not: twice what one drives in a car park.
        speed_scale_mps: how fast plausibility falls around it.
        clock_slack_s: how far two cameras' clocks may differ; also what "at the same time" means.
        near_s, near_m: the time and distance from the anchor at which nearness has fallen to a half.
        recent_s: the age at which recency has fallen to a half.
        least_context: what the impossible is given.
        anchored_weight, free_weight: how much context counts with an anchor, and without.
    """

    n_pooled: int = 3
    speed_cap_mps: float = 15.0
    speed_scale_mps: float = 2.0
    clock_slack_s: float = 2.0
    near_s: float = 600.0
    near_m: float = 100.0
    recent_s: float = 3_600.0
    least_context: float = 1e-4
    anchored_weight: float = 0.5
    free_weight: float = 0.1


class Shot(Struct, frozen=True, kw_only=True):
    """One sighting of a vehicle; ``look`` is None where it was not compared with the probe."""

    tracklet: TrackletId
    camera: CameraId
    at: Micros
    look: float | None = None
    crop: CropId | None = None


class Candidate(Struct, frozen=True, kw_only=True):
    """A vehicle with its shots; at least one has a look."""

    vehicle: VehicleId
    shots: tuple[Shot, ...]


class Anchor(Struct, frozen=True, kw_only=True):
    """Where and when the probe was seen, as far as it is known."""

    camera: CameraId | None = None
    at: Micros | None = None


class Ranked(Struct, frozen=True, kw_only=True):
    """A vehicle with what speaks for it.

    Attributes:
        score, look, context: 0..1.
        best: the shot that looks most alike.
    """

    vehicle: VehicleId
    score: float
    look: float
    context: float
    reasons: tuple[str, ...]
    best: Shot


class _Context(Struct, frozen=True, kw_only=True):
    value: float
    reason: str


def rerank(
    candidates: Iterable[Candidate],
    anchor: Anchor,
    distance_m: Distance,
    parameters: RerankParameters = RerankParameters(),  # noqa: B008  frozen
) -> list[Ranked]:
    """Best first; equal scores by vehicle. The order of candidates and of their shots does not matter."""
    known = list(candidates)
    is_anchored = anchor.camera is not None or anchor.at is not None
    weight = parameters.anchored_weight if is_anchored else parameters.free_weight
    newest_at = max((shot.at for candidate in known for shot in candidate.shots), default=0)
    ranked: list[Ranked] = []
    for candidate in known:
        shots = sorted(candidate.shots, key=_order)
        context = _anchored(shots, anchor, distance_m, parameters) if is_anchored else _free(shots, newest_at, parameters)
        ranked.append(_ranked(candidate.vehicle, shots, context, weight, parameters))
    return sorted(ranked, key=lambda one: (-one.score, one.vehicle))


def _ranked(
    vehicle: VehicleId, shots: Sequence[Shot], context: _Context, weight: float, parameters: RerankParameters
) -> Ranked:
    compared = sorted((shot for shot in shots if shot.look is not None), key=lambda shot: (-_look(shot), *_order(shot)))
    look = pooled_look([_look(shot) for shot in compared], parameters.n_pooled)
    value = max(parameters.least_context, min(1.0, context.value))
    return Ranked(
        vehicle=vehicle,
        score=look * value**weight,
        look=look,
        context=value,
        reasons=(f"{look:.2f} look", context.reason, _seen(shots)),
        best=compared[0],
    )


def pooled_look(looks: Sequence[float], n_pooled: int) -> float:
    """The mean of the best look and of the mean of the best few: one lucky shot is worth less than several good ones."""
    best = sorted(looks, reverse=True)[:n_pooled]
    return (best[0] + sum(best) / len(best)) / 2.0


def speed_plausibility(speed_mps: float, parameters: RerankParameters) -> float:
    """Probability-like, 1 when standing, a half at the cap: the log-likelihood is -log(1 + exp(excess)), smooth."""
    excess = (speed_mps - parameters.speed_cap_mps) / parameters.speed_scale_mps
    if excess > 60.0:
        return 0.0
    return exp(-log1p(exp(excess)))


def _anchored(shots: Sequence[Shot], anchor: Anchor, distance_m: Distance, parameters: RerankParameters) -> _Context:
    if anchor.at is None:
        assert anchor.camera is not None
        return _near_place(shots, anchor.camera, distance_m, parameters)
    gap_s, shot = min(((_gap_s(one, anchor.at), one) for one in shots), key=lambda pair: (pair[0], _order(pair[1])))
    nearness = 1.0 / (1.0 + gap_s / parameters.near_s)
    if anchor.camera is None:
        return _Context(value=nearness, reason=f"seen by {shot.camera} {gap_s:.0f} s from the time asked for")
    drives = [_drive(one, anchor.camera, anchor.at, distance_m, parameters) for one in _around(shots, anchor.at, parameters)]
    worst = min(drives, key=lambda one: (one.value, one.reason))
    return _Context(value=worst.value * nearness, reason=worst.reason)


def _near_place(shots: Sequence[Shot], camera: CameraId, distance_m: Distance, parameters: RerankParameters) -> _Context:
    metres, seen_by = min((distance_m(camera, one), one) for one in {shot.camera for shot in shots})
    if isinf(metres):
        return _Context(value=0.0, reason=f"cannot be reached from {camera}: no way to {seen_by}")
    return _Context(value=1.0 / (1.0 + metres / parameters.near_m), reason=f"{metres:.0f} m from {camera}, at {seen_by}")


def _around(shots: Sequence[Shot], at: Micros, parameters: RerankParameters) -> list[Shot]:
    """The last sightings up to a time and the first after it: these bound where the vehicle was then."""
    slack = round(parameters.clock_slack_s * SECOND)
    before = [shot for shot in shots if shot.at <= at]
    after = [shot for shot in shots if shot.at > at]
    last_at = max((shot.at for shot in before), default=0)
    first_at = min((shot.at for shot in after), default=0)
    return [shot for shot in before if shot.at >= last_at - slack] + [shot for shot in after if shot.at <= first_at + slack]


def _drive(shot: Shot, camera: CameraId, at: Micros, distance_m: Distance, parameters: RerankParameters) -> _Context:
    """Whether the vehicle can have driven between a sighting and the anchor; clocks may differ by the slack."""
    start, end = (shot.camera, camera) if shot.at <= at else (camera, shot.camera)
    metres, gap_s = distance_m(start, end), _gap_s(shot, at)
    if isinf(metres):
        return _Context(value=0.0, reason=f"not reachable: no way from {start} to {end}")
    speed_mps = metres / (gap_s + parameters.clock_slack_s)
    value = speed_plausibility(speed_mps, parameters)
    if gap_s <= parameters.clock_slack_s and value < 0.5:
        return _Context(value=value, reason=f"elsewhere: seen by {shot.camera} at the same time, {metres:.0f} m away")
    verdict = "reachable" if value >= 0.5 else "not reachable"
    return _Context(value=value, reason=f"{verdict} in {gap_s:.0f} s: {metres:.0f} m at {speed_mps:.0f} m/s from {start}")


def _free(shots: Sequence[Shot], newest_at: Micros, parameters: RerankParameters) -> _Context:
    agreeing = fsum(_look(shot) for shot in shots if shot.look is not None)  # sum would depend on the order of ties
    n_compared = sum(shot.look is not None for shot in shots)
    age_s = (newest_at - max(shot.at for shot in shots)) / SECOND
    recency = 1.0 / (1.0 + age_s / parameters.recent_s)
    reason = f"{agreeing:.1f} of {n_compared} compared shots agree; last seen {age_s:.0f} s before the newest"
    return _Context(value=agreeing / (agreeing + 1.0) * recency, reason=reason)


def _seen(shots: Sequence[Shot]) -> str:
    counts = Counter(shot.camera for shot in shots)
    told = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"seen by {camera} {n} time{'s' if n != 1 else ''}" for camera, n in told[:3])


def _gap_s(shot: Shot, at: Micros) -> float:
    return abs(shot.at - at) / SECOND


def _look(shot: Shot) -> float:
    return 0.0 if shot.look is None else shot.look


def _order(shot: Shot) -> tuple[Micros, str, str, str]:
    return shot.at, shot.camera, shot.tracklet, shot.crop or ""
