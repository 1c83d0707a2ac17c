"""A run made ready for searches whose right answer is known: probes taken out, the rest fused and indexed."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from retrieval.appearance import ONE
from retrieval.context import Anchor
from retrieval.embedder import Embedders
from retrieval.galleries import GalleryIndex
from retrieval.identities import Assigned, Identities, assignments_of
from retrieval.index import Point
from retrieval.ingest import point_of
from retrieval.memory import MemoryIndex
from retrieval.places import CameraDistances
from retrieval.question import Question
from retrieval.search import VehicleSearch
from retrieval.weights import Weights
from retrieval.whereabouts import Whereabouts
from site_models.schema import Site
from twin.errors import BadInput
from twin.evaluation.event_files import read_observations
from twin.evaluation.fuse_run import fuse_run
from twin.evaluation.run_directory import prepare
from twin.evaluation.run_tables import read_table
from twin.evaluation.search_probes import Probe, chosen, passages_of, whole, without
from twin.evaluation.tracklet_truth import Labelled, TrackletTruth
from twin.events.codec import from_json
from twin.events.envelope import FactEvent, ObservationEvent
from twin.events.ids import TrackletId, VehicleId
from twin.events.observations import FrameObserved, TrackletEmbedded
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit
from twin.projections.moment import Moment
from twin.projections.timeline import Timeline
from twin.rules.fold import Fold

Views = Mapping[TrackletId, Sequence[ObservationEvent]]


@dataclass(frozen=True, kw_only=True)
class SearchCase:
    """What is searched, and with what.

    Attributes:
        label_of: whom each tracklet shows.
        right_of: whom most tracklets of each of the twin's vehicles show.
        points: of every view that is left.
    """

    run: Path
    site: Site
    probes: Sequence[Probe]
    label_of: Mapping[TrackletId, str]
    right_of: Mapping[VehicleId, str]
    assigned: Assigned
    points: Sequence[Point]
    search: VehicleSearch
    whereabouts: Whereabouts
    moment: Moment


def open_case(site: Site, run: Path, weights: Weights, *, own_identities: bool = False, seed: int = 1) -> SearchCase:
    """Take probes out of a run and fuse the rest, in ``RUN/search``; what was fused there for the same probes is used again.

    Args:
        own_identities: vehicles are those that the twin found in the whole run, not those of the truth.
        seed: of the draw of the probes.

    Raises:
        BadInput: the run has no observations or no truth, was not fused, or nothing in it can be searched for.
    """
    path = _observations(run)
    views = dict[TrackletId, list[ObservationEvent]]()
    found = _TrackletIdentities(run) if own_identities else TrackletTruth(site, read_table(run, "truth"))
    for event in read_observations(path):
        found.add(event)
        if isinstance(event.payload, TrackletEmbedded):
            views.setdefault(event.payload.tracklet, []).append(event)
    tracklets = found.labelled()
    probes = whole(chosen(passages_of(tracklets), views, seed), tracklets)
    if not probes:
        raise BadInput(f"run '{run}' has no vehicle that two passages before cameras show; there is nothing to search for")
    facts = _fused(site, run, path, probes, "identities" if own_identities else "truth")
    return asyncio.run(_opened(site, run, weights, probes, tracklets, views, facts))


class _TrackletIdentities:
    """Whom the twin took each tracklet for, with nothing taken out."""

    def __init__(self, run: Path) -> None:
        self._assigned = assignments_of(_facts(run / "facts.jsonl"))
        self._tracklets: dict[TrackletId, Labelled] = {}

    def add(self, event: ObservationEvent) -> None:
        """Take one observation; what is no frame says nothing."""
        frame, at = event.payload, event.occurred_at
        if not isinstance(frame, FrameObserved):
            return
        for name in (*(box.tracklet for box in frame.boxes), *frame.unchanged):
            if (seen := self._tracklets.get(name)) is None:
                seen = self._tracklets[name] = Labelled(tracklet=name, camera=frame.camera, first_at=at, last_at=at)
                seen.votes[str(self._assigned.get(name, ""))] += 1
            seen.first_at, seen.last_at = min(seen.first_at, at), max(seen.last_at, at)

    def labelled(self) -> list[Labelled]:
        """Every tracklet, by first time and name."""
        return sorted(self._tracklets.values(), key=lambda one: (one.first_at, one.tracklet))


def _observations(run: Path) -> Path:
    for name in ("observations.jsonl.zst", "observations.jsonl"):
        if (run / name).exists():
            return run / name
    raise BadInput(f"run '{run}' has neither observations.jsonl.zst nor observations.jsonl; probes are taken out of them")


def _fused(site: Site, run: Path, path: Path, probes: Sequence[Probe], labels: str) -> list[FactEvent]:
    folder, fold = run / "search", Fold(site)
    names = sorted(name for probe in probes for name in probe.passage.tracklets)
    with path.open("rb") as observations:
        digest = hashlib.file_digest(observations, "sha256").hexdigest()
    of = {"labels": labels, "observations": digest, "fold": fold.version, "config": fold.config_hash}
    wanted = msgspec.json.encode({**of, "without": names})
    note = folder / "probes.json"
    if not (note.exists() and note.read_bytes() == wanted and (folder / "facts.jsonl").exists()):
        prepare(folder)
        note.unlink(missing_ok=True)
        fuse_run(site, path, folder, fold=fold, changed=lambda events: without(events, probes))
        note.write_bytes(wanted)
    return _facts(folder / "facts.jsonl")


def _facts(path: Path) -> list[FactEvent]:
    if not path.exists():
        raise BadInput(f"there is no '{path}'; twin fuse --out writes it")
    with path.open("rb") as lines:
        return [event for line in lines if isinstance(event := from_json(line), FactEvent)]


async def _opened(
    site: Site,
    run: Path,
    weights: Weights,
    probes: Sequence[Probe],
    tracklets: Sequence[Labelled],
    views: Views,
    facts: Sequence[FactEvent],
) -> SearchCase:
    log = MemoryLog()
    token = await log.acquire(site.name, "evaluation")
    await log.commit(FoldCommit(token=token, after=0, cursor=0, facts=tuple(facts)))
    gone = {name for probe in probes for name in probe.passage.tracklets}
    kept = [event for name, seen in sorted(views.items()) if name not in gone for event in seen]
    points = [point for event in kept if (point := _point(event)) is not None]
    index = GalleryIndex(MemoryIndex())
    await index.upsert(points, cursor=1)
    distances = CameraDistances(site)
    whereabouts, identities = Whereabouts(log, Timeline(log, site), distances), Identities(log, site.name)
    moment = Moment(at=None, known_at=len(facts))
    assigned = await identities.at(moment)
    label_of = {one.tracklet: one.vehicle for one in tracklets if one.vehicle is not None}
    return SearchCase(
        run=run,
        site=site,
        probes=probes,
        label_of=label_of,
        right_of=_majority(assigned, label_of),
        assigned=assigned,
        points=points,
        search=VehicleSearch(site.name, index, identities, whereabouts, distances, Embedders(), weights),
        whereabouts=whereabouts,
        moment=moment,
    )


def _point(event: ObservationEvent) -> Point | None:
    view = event.payload
    assert isinstance(view, TrackletEmbedded)
    return None if view.personal is None else point_of(event, view, view.personal)


def _majority(assigned: Assigned, label_of: Mapping[TrackletId, str]) -> dict[VehicleId, str]:
    found = dict[VehicleId, str]()
    for vehicle, names in assigned.tracklets_of.items():
        votes = Counter(label_of[name] for name in names if name in label_of)
        if votes:
            found[vehicle] = min(votes.items(), key=lambda pair: (-pair[1], pair[0]))[0]
    return found


def question_of(case: SearchCase, probe: Probe, near: Anchor) -> Question:
    """What is asked with a probe's view."""
    view = probe.view
    plate = None if view.personal is None or view.personal.plate is None else view.personal.plate.text
    colour = None if view.colour is None else view.colour.name
    return Question(moment=case.moment, near=near, kind=view.kind, colour=colour, plate=plate)


def tracklet_means(
    case: SearchCase, space: tuple[str, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean views of assigned tracklets in a space.

    Returns:
        (N, E) whole numbers; (N,) numbers of their vehicles and of their cameras; of how many views they are; the mean squared
        distance of one of those from the mean, as of unit vectors, NaN of one view.
    """
    by_tracklet = dict[TrackletId, list[Point]]()
    for point in case.points:
        if point.space == space and point.sighting.tracklet in case.assigned.vehicle_of:
            by_tracklet.setdefault(point.sighting.tracklet, []).append(point)
    names = sorted(by_tracklet)
    vehicles = sorted({case.assigned.vehicle_of[name] for name in names})
    cameras = sorted({by_tracklet[name][0].sighting.camera for name in names})
    views = [np.stack([point.vector for point in by_tracklet[name]]).astype(np.float64) for name in names]
    means = [np.rint(ONE * each.mean(axis=0)) for each in views]
    return (
        np.array(means, np.int64).reshape(len(names), -1),
        np.array([vehicles.index(case.assigned.vehicle_of[name]) for name in names], np.int64),
        np.array([cameras.index(by_tracklet[name][0].sighting.camera) for name in names], np.int64),
        np.array([len(each) for each in views], np.float64),
        np.array([each.var(axis=0, ddof=1).sum() if len(each) > 1 else np.nan for each in views], np.float64),
    )
