"""``twin eval search``: how well a picture finds its vehicle, by looks alone and by what the twin knows.

A probe is one view of a passage that was taken out before anything was fused (``search_probes``). It is asked for among all
tracklets that are left, with an anchor and without; those that truly show its vehicle are right. Looks alone rank tracklets by
their most alike view. Search ranks vehicles; a tracklet counts by its probability, so that one which the twin takes
for nobody, or for somebody else, has its place too. Tracklets of which the truth says nothing, cut off or hidden as
they are, count neither way. The ablation adds what search rests on one by one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from retrieval.appearance import Ints, LookModel, Shots, nats_of_one_vehicle, whole
from retrieval.context import Anchor
from retrieval.index import Point, Vector, unit_vector
from retrieval.rerank import evidence, stray_chance, terms_of, tracklet_chance
from retrieval.search import LookedUp
from retrieval.strays import stray_groups
from retrieval.weights import Terms, Weights, probabilities
from retrieval.weights_file import PACKAGED, load_weights
from twin.evaluation.figures import Figure, Share, Sums
from twin.evaluation.grid import Bools, Floats
from twin.evaluation.run_site import site_of
from twin.evaluation.scored import Case, Scored
from twin.evaluation.scores import report_of
from twin.evaluation.search_case import SearchCase, open_case, question_of
from twin.evaluation.search_probes import Probe
from twin.events.ids import TrackletId, VehicleId

STAGES = ("visual", "multi_shot", "reciprocal", "time_space", "all")
N_TOLD = 10
"""Hits of a page, whose probabilities are checked."""
N_BINS = 10

_NO_CLASSES: Mapping[str, float] = {}


@dataclass(kw_only=True)
class _Found:
    """What one stage gave for one probe: average precision, rank of the first right answer, and told probabilities."""

    precision: float
    rank: int
    told: list[tuple[float, bool]] = field(default_factory=list[tuple[float, bool]])


@dataclass(kw_only=True)
class _Asked:
    probe: Probe
    is_anchored: bool
    stages: dict[str, _Found] = field(default_factory=dict[str, _Found])
    first: VehicleId | None = None
    seconds: float = 0.0


def search_report(runs: Sequence[Path], site: str | None, weights: Path | None, seed: int) -> dict[str, Any]:
    """``twin eval search``: the figures of runs, how told probabilities and true shares compare, and the worst cases.

    Args:
        site: folder or name; None: as each run says.
        weights: a file of ``twin learn search``; None: those of this release.
        seed: of the draw of the probes.

    Raises:
        BadInput: see ``search_case.open_case``; or there are no such weights.
    """
    known = PACKAGED if weights is None else load_weights(weights)
    plots: dict[str, list[_Asked]] = {"free": [], "anchored": []}

    def score(run: Path) -> Scored:
        scored, asked = search(run, site, known, seed)
        for one in asked:
            plots["anchored" if one.is_anchored else "free"].append(one)
        return scored

    report = report_of("search", runs, score, site)
    return report | {
        "weights": {"version": known.version, "learned_from": known.learned_from},
        "reliability": {name: reliability(asked) for name, asked in plots.items()},
    }


def search(run: Path, site: str | None, weights: Weights, seed: int = 1) -> tuple[Scored, list[_Asked]]:
    """Figures of one run, and every search in it; raises BadInput as ``search_report`` does."""
    case = open_case(site_of(run, site, "cameras' views"), run, weights, seed=seed)
    asked = asyncio.run(searched(case))
    figures = dict[str, Figure]()
    for is_anchored in (False, True):
        suffix = "_anchored" if is_anchored else ""
        rows = [one for one in asked if one.is_anchored == is_anchored]
        figures |= {f"{name}{suffix}": figure for name, figure in _figures(rows).items()}
    cases = [_case(case, one) for one in asked if one.stages["all"].rank > 0]
    return Scored(n=len(case.probes), figures=figures, cases=cases), asked


async def searched(case: SearchCase) -> list[_Asked]:
    """Every probe, without an anchor and with one."""
    known = _Known.of(case)
    clocks = await case.whereabouts.clocks(case.moment.known_at)
    found = list[_Asked]()
    for probe in case.probes:
        vector = None if probe.view.personal is None else unit_vector(probe.view.personal.embedding)
        if vector is None:
            continue
        anchor = Anchor(camera=probe.view.camera, at=clocks.corrected(probe.view.camera, probe.at))
        for near in (Anchor(), anchor):
            question = question_of(case, probe, near)
            one = _Asked(probe=probe, is_anchored=near != Anchor())
            began = time.perf_counter()
            looked_up = await case.search.looked_up(probe.view.embedder, vector, question)
            one.seconds = time.perf_counter() - began
            _rank(case, known, one, vector, looked_up)
            found.append(one)
    return found


@dataclass(frozen=True, kw_only=True)
class _Known:
    """The gallery as it is scored: every tracklet that is left, with its views.

    Attributes:
        together: rows of tracklets that are looked at together: of each by itself, but of strays that are one thing.
    """

    tracklets: list[TrackletId]
    points: list[list[Point]]
    together: list[list[int]]

    @classmethod
    def of(cls, case: SearchCase) -> _Known:
        by_tracklet = dict[TrackletId, list[Point]]()
        for point in case.points:
            if point.sighting.tracklet not in case.label_of:
                continue
            by_tracklet.setdefault(point.sighting.tracklet, []).append(point)
        names = sorted(by_tracklet)
        row_of = {name: row for row, name in enumerate(names)}
        every = [point.sighting for seen in by_tracklet.values() for point in seen]
        lone = [one for one in every if one.tracklet not in case.assigned.vehicle_of]
        together = [[row] for row in range(len(names))]
        for group in stray_groups(lone):
            rows = [row_of[name] for name in group]
            for row in rows:
                together[row] = rows
        return cls(tracklets=names, points=[by_tracklet[name] for name in names], together=together)


def _rank(case: SearchCase, known: _Known, one: _Asked, vector: Vector, looked_up: LookedUp) -> None:
    asked, candidates = looked_up.asked, looked_up.candidates
    weights = case.search.weights.of(one.probe.view.embedder)
    is_right = np.array([case.label_of.get(name) == one.probe.passage.vehicle for name in known.tracklets])
    space = one.probe.view.embedder, len(vector)
    likeness = np.array([_most_alike(points, space, vector) for points in known.points])
    order = np.argsort(-likeness, kind="stable")
    one.stages["visual"] = _Found(precision=_precision(is_right[order]), rank=_first(is_right[order]))
    nats = _own_nats(known, space, whole(vector), asked.near, weights.look_of(space[0]))
    likely = {name: each.likely for each in looked_up.strays for name in each.tracklets}
    found = evidence(candidates, asked, case.search.distance_m)
    for name, terms in _terms(terms_of(weights, asked.near)).items():
        scores = [each.score(terms) for each in found]
        chances = probabilities(scores, terms.nobody)
        of_vehicle = {each.vehicle: chance for each, chance in zip(candidates, chances, strict=True)}
        one.stages[name] = _stage(
            case, known, is_right, terms.look * nats, likeness, of_vehicle, likely, one.probe.passage.vehicle
        )
        if name == "all" and of_vehicle:
            one.first = min(of_vehicle, key=lambda vehicle: (-of_vehicle[vehicle], vehicle))


def _stage(
    case: SearchCase,
    known: _Known,
    is_right: Bools,
    nats: Floats,
    likeness: Floats,
    of_vehicle: Mapping[VehicleId, float],
    likely: Mapping[TrackletId, Mapping[VehicleId, float]],
    wanted: str,
) -> _Found:
    n_vehicles = max(1, len(case.assigned.tracklets_of))
    chances = np.empty(len(known.tracklets))
    for row, name in enumerate(known.tracklets):
        vehicle = case.assigned.vehicle_of.get(name)
        of_this = None if vehicle is None else of_vehicle.get(vehicle, 0.0)
        own = tracklet_chance(float(nats[row]), of_this, n_vehicles)
        chances[row] = stray_chance(own, likely[name], of_vehicle) if name in likely else own
    order = np.lexsort((-likeness, -chances))
    best = sorted(of_vehicle, key=lambda vehicle: (-of_vehicle[vehicle], vehicle))
    rights = [case.right_of.get(vehicle) == wanted for vehicle in best]
    told = [(of_vehicle[vehicle], right) for vehicle, right in zip(best[:N_TOLD], rights, strict=False)]
    rank = rights.index(True) if True in rights else len(rights) + N_TOLD
    return _Found(precision=_precision(is_right[order]), rank=rank, told=told)


def _terms(terms: Terms) -> dict[str, Terms]:
    """By stage: what it rests on, the rest being worth nothing."""
    bare = replace(
        terms, reciprocal=0.0, plate=0.0, colour=0.0, kind=_NO_CLASSES, presence=_NO_CLASSES, reach=_NO_CLASSES, own=_NO_CLASSES
    )
    mutual = replace(bare, reciprocal=terms.reciprocal)
    placed = replace(mutual, presence=terms.presence, reach=terms.reach)
    return {"multi_shot": bare, "reciprocal": mutual, "time_space": placed, "all": terms}


def _own_nats(known: _Known, space: tuple[str, int], probe: Ints, near: Anchor, model: LookModel) -> Floats:
    """(T,) nats of each tracklet's own look, of strays that are one thing together."""
    vectors = [[whole(point.vector) for point in points if point.space == space] for points in known.points]
    means = [_mean(each) for each in vectors]
    nats = np.full(len(known.tracklets), -np.inf)
    for row, rows in enumerate(known.together):
        seen = [mean for one in rows if (mean := means[one]) is not None]
        if seen:
            is_same = known.points[row][0].sighting.camera == near.camera
            shots = Shots(
                camera=known.points[row][0].sighting.camera,
                total=np.sum(seen, axis=0),
                n_tracklets=len(seen),
                n_views=sum(len(vectors[one]) for one in rows),
                is_same_camera=is_same,
            )
            nats[row] = nats_of_one_vehicle(probe, [shots], model)
    return nats


def _mean(vectors: Sequence[Ints]) -> Ints | None:
    return np.rint(np.mean(vectors, axis=0)).astype(np.int64) if vectors else None


def _most_alike(points: Sequence[Point], space: tuple[str, int], vector: Vector) -> float:
    return max((float(point.vector @ vector) for point in points if point.space == space), default=-2.0)


def _first(is_right: Bools) -> int:
    """Rank of the first right answer, from 0; after all of them where none is."""
    found = np.flatnonzero(is_right)
    return int(found[0]) if len(found) else len(is_right)


def _precision(is_right: Bools) -> float:
    """Average precision of answers in order."""
    n_right = int(is_right.sum())
    if n_right == 0:
        return 0.0
    return float((np.cumsum(is_right) / np.arange(1, len(is_right) + 1))[is_right].sum() / n_right)


def _figures(rows: Sequence[_Asked]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {"map": _map(rows, "all")}
    for name, depth in (("rank1", 1), ("rank5", 5), ("rank10", 10)):
        figures[name] = Share(n_hits=sum(one.stages["all"].rank < depth for one in rows), n=len(rows))
    figures["rank1_visual"] = Share(n_hits=sum(one.stages["visual"].rank < 1 for one in rows), n=len(rows))
    figures |= {f"map_{stage}": _map(rows, stage) for stage in STAGES[:-1]}
    figures["shortfall_removed"] = Sums(
        parts=np.array([[one.stages["visual"].precision, one.stages["all"].precision, 1.0] for one in rows]).reshape(-1, 3),
        figure=lambda sums: float((sums[1] - sums[0]) / max(1e-9, sums[2] - sums[0])),
        n=len(rows),
    )
    figures["ece"] = _calibration(rows, 1)
    figures["ece_page"] = _calibration(rows, N_TOLD)
    figures["latency_mean_ms"] = Sums(
        parts=np.array([[1e3 * one.seconds, 1.0] for one in rows]).reshape(-1, 2),
        figure=lambda sums: float(sums[0] / sums[1]),
        n=len(rows),
    )
    return figures


def _map(rows: Sequence[_Asked], stage: str) -> Sums:
    parts = np.array([[one.stages[stage].precision, 1.0] for one in rows]).reshape(-1, 2)
    return Sums(parts=parts, figure=lambda sums: float(sums[0] / sums[1]), n=len(rows))


def _calibration(rows: Sequence[_Asked], n_told: int) -> Sums:
    """Expected calibration error of the first so many vehicles of each answer.

    Source: Guo et al., "On calibration of modern neural networks" (2017).
    """
    parts = np.zeros((len(rows), 3 * N_BINS))
    for number, one in enumerate(rows):
        for chance, is_right in one.stages["all"].told[:n_told]:
            column = min(N_BINS - 1, int(chance * N_BINS))
            parts[number, column] += 1.0
            parts[number, N_BINS + column] += chance
            parts[number, 2 * N_BINS + column] += is_right
    return Sums(parts=parts, figure=_ece, n=int(parts[:, :N_BINS].sum()))


def _ece(sums: Floats) -> float:
    n, told, right = np.split(np.asarray(sums), 3)
    return float(np.abs(told - right).sum() / max(1.0, float(n.sum())))


def reliability(rows: Sequence[_Asked]) -> list[dict[str, float]]:
    """Told and true shares by bin, for a reliability plot."""
    sums = _calibration(rows, N_TOLD).parts.sum(axis=0)
    n, told, right = np.split(sums, 3)
    return [
        {"n": int(n[k]), "told": round(float(told[k] / n[k]), 4), "right": round(float(right[k] / n[k]), 4)}
        for k in range(N_BINS)
        if n[k]
    ]


def _case(case: SearchCase, one: _Asked) -> Case:
    found = one.stages["all"]
    wrong = None if one.first is None else case.right_of.get(one.first)
    return Case(
        case="not found first, with an anchor" if one.is_anchored else "not found first",
        vehicle=one.probe.passage.vehicle,
        at=one.probe.at,
        weight=float(min(found.rank, 100)),
        fields={"camera": str(one.probe.view.camera), "rank": found.rank + 1, "first": one.first, "first_is": wrong},
    )
