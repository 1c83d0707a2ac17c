"""``twin learn search``: the weights of image search from runs, by the vehicles that their truth, or the twin itself, knows.

Passages are taken out and searched for as in ``twin eval search``; from what was right there, and what was not, weights follow.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from msgspec.structs import replace

from retrieval.context import Anchor
from retrieval.index import Space, unit_vector
from retrieval.learning import Search, learned_looks, learned_temper, tempered_terms
from retrieval.rerank import evidence
from retrieval.weights import ANCHORED, FREE, Temper, Weights
from site_models.schema import Site
from twin.errors import BadInput
from twin.evaluation.fuse_run import fuse_run
from twin.evaluation.search_case import SearchCase, open_case, question_of, tracklet_means
from twin.events.codec import to_json
from twin.events.envelope import ObservationEvent
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, RefuseRequested, TrackletEmbedded
from twin.log.keys import KeyRing
from twin.log.port import Log
from twin.log.sealing import personal_of

FEWEST_PROBES = 20
LEARNING_SEED = 101
"""Of the draw of probes: not that of ``twin eval search``, though runs to learn from should be others altogether."""
PAGE = 2_000


def learned_weights(cases: Sequence[SearchCase], before: Weights, source: str, *, only_looks: bool = False) -> Weights:
    """Looks first, then weights with those looks, then how sure embedders make that the weights were not learned with.

    What evidence is worth is learned from searches by the embedder that most of them are by; those by others only tell by how
    much more, or less, sure its answers are to be told (``Temper``).

    Args:
        before: what is kept of embedders that the cases do not know, and where too little is known.
        source: what they are learned from, in words.
        only_looks: what evidence is worth is kept as well; only the cases' embedders are learned of.

    Raises:
        BadInput: too few probes.
    """
    n_probes = sum(len(case.probes) for case in cases)
    if n_probes < FEWEST_PROBES:
        raise BadInput(
            f"only {n_probes} vehicles can be searched for there, and {FEWEST_PROBES} are needed to learn from; give more "
            "runs, or a longer time"
        )
    looks = dict(before.looks)
    counts = Counter(point.space for case in cases for point in case.points)
    for space, _ in sorted(counts.items(), key=lambda pair: pair[1]):  # of several lengths the most frequent one's stays
        looks[space[0]] = _looks(cases, space, before)
    weights, told = replace(before, looks=looks, tempers={}), f"{source}: {n_probes} probes"
    by_embedder = _by_embedder(cases, weights)
    if only_looks:
        told = f"{before.learned_from}; looks of {', '.join(sorted(by_embedder))}: {told}"
    else:
        most = max(sorted(by_embedder), key=lambda name: sum(map(len, by_embedder[name][False].values())))
        taught = by_embedder.pop(most)
        free = tempered_terms(list(taught[False].values()), FREE, anchored=False)
        anchored = tempered_terms(list(taught[True].values()), ANCHORED, anchored=True)
        weights = replace(weights, free=free, anchored=anchored)
    tempers = {name: temper for name, temper in before.tempers.items() if name not in {space[0] for space in counts}}
    tempers |= {name: _temper(searches, weights) for name, searches in by_embedder.items()}
    return replace(weights, tempers=tempers, learned_from=told)


_Searches = dict[bool, dict[Path, list[Search]]]  # without and with an anchor, by run


def _by_embedder(cases: Sequence[SearchCase], weights: Weights) -> dict[str, _Searches]:
    """Every search, by the embedder of its probe."""
    found = dict[str, _Searches]()
    for case in cases:
        case.search.weights = weights
        for embedder, is_anchored, one in asyncio.run(_searches(case)):
            of_embedder = found.setdefault(embedder, {False: {}, True: {}})
            of_embedder[is_anchored].setdefault(case.run, []).append(one)
    return found


def _temper(searches: _Searches, weights: Weights) -> Temper:
    free = [(one, weights.free) for of_run in searches[False].values() for one in of_run]
    anchored = [(one, weights.anchored) for of_run in searches[True].values() for one in of_run]
    return Temper(free=learned_temper(free), anchored=learned_temper(anchored))


def _looks(cases: Sequence[SearchCase], space: Space, before: Weights) -> Any:
    parts, n_vehicles, n_cameras = list[tuple[Any, ...]](), 0, 0
    for case in cases:
        vectors, vehicles, cameras, *rest = tracklet_means(case, space)
        if len(vectors):
            parts.append((vectors, vehicles + n_vehicles, cameras + n_cameras, *rest))
            n_vehicles, n_cameras = n_vehicles + int(vehicles.max()) + 1, n_cameras + int(cameras.max()) + 1
    if not parts:
        return before.look_of(space[0])
    vectors, vehicles, cameras, n_views, spread = (np.concatenate(column) for column in zip(*parts, strict=True))
    known = spread[~np.isnan(spread)]
    usual = before.look_of(space[0])
    scatter = float(known.mean()) if len(known) else usual.crop * usual.n_directions
    return learned_looks(vectors, vehicles, cameras, scatter, n_views, usual)


async def _searches(case: SearchCase) -> list[tuple[str, bool, Search]]:
    clocks = await case.whereabouts.clocks(case.moment.known_at)
    found = list[tuple[str, bool, Search]]()
    for probe in case.probes:
        vector = None if probe.view.personal is None else unit_vector(probe.view.personal.embedding)
        if vector is None:
            continue
        anchor = Anchor(camera=probe.view.camera, at=clocks.corrected(probe.view.camera, probe.at))
        for near in (Anchor(), anchor):
            looked_up = await case.search.looked_up(probe.view.embedder, vector, question_of(case, probe, near))
            told = tuple(evidence(looked_up.candidates, looked_up.asked, case.search.distance_m))
            right = tuple(case.right_of.get(one.vehicle) == probe.passage.vehicle for one in looked_up.candidates)
            found.append((probe.view.embedder, near != Anchor(), Search(evidence=told, is_right=right)))
    return found


def learned_from_runs(
    site: Callable[[Path], Site],
    runs: Sequence[Path],
    before: Weights,
    *,
    own_identities: bool,
    only_looks: bool = False,
    draws: int = 1,
) -> Weights:
    """Weights from run folders; raises BadInput as ``open_case`` does.

    Args:
        draws: how often vehicles to ask for are drawn of each run; of short ones a single draw tells little.
    """
    seeds = range(LEARNING_SEED, LEARNING_SEED + draws)
    cases = [open_case(site(run), run, before, own_identities=own_identities, seed=seed) for run in runs for seed in seeds]
    names = ", ".join(run.resolve().name for run in runs)
    source = f"{'own identities' if own_identities else 'truth'} of {names}"
    return learned_weights(cases, before, source, only_looks=only_looks)


async def observed(log: Log, keys: KeyRing, site: Site, hours: float, path: Path) -> None:
    """The last hours of a site's log into a file, personal fields in the open; what was erased is left out.

    Raises:
        BadInput: the log holds nothing of the site.
    """
    position = (await log.cuts(site.name)).observations
    head = (await log.heads(site.name)).observations
    newest = await log.observations(site.name, after=max(position, head - 1), limit=1)
    if not newest:
        raise BadInput(f"the log holds no observation of site '{site.name}'; there is nothing to learn from")
    since = newest[0].recorded_at - round(hours * 3600 * SECOND)
    with path.open("wb") as raw, zstandard.ZstdCompressor(level=3).stream_writer(raw) as out:
        while batch := await log.observations(site.name, after=position, limit=PAGE):
            position = batch[-1].position
            for recorded in batch:
                if recorded.recorded_at >= since and (event := await _open(keys, recorded.event)) is not None:
                    out.write(to_json(event) + b"\n")


async def _open(keys: KeyRing, event: ObservationEvent) -> ObservationEvent | None:
    if isinstance(event.payload, ClockTicked | RefuseRequested):
        return None  # of the service that was, not of the site
    if not isinstance(event.payload, TrackletEmbedded):
        return event
    personal = await personal_of(keys, event)
    return None if personal is None else replace(event, payload=replace(event.payload, personal=personal, sealed=None))


def learned_from_observations(site: Site, write: Callable[[Path], None], before: Weights) -> Weights:
    """A site's own weights, from the vehicles that the twin itself finds; what it needs on a disk is gone afterwards.

    Args:
        write: writes ``observations.jsonl.zst`` where it is told.

    Raises:
        BadInput: too little was observed.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        write(run / "observations.jsonl.zst")
        fuse_run(site, run / "observations.jsonl.zst", run)
        return learned_weights([open_case(site, run, before, own_identities=True)], before, f"own identities of {site.name}")
