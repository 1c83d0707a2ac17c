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
from retrieval.learning import Search, learned_looks, learned_terms
from retrieval.rerank import evidence
from retrieval.weights import ANCHORED, FREE, Weights
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


def learned_weights(cases: Sequence[SearchCase], before: Weights, source: str) -> Weights:
    """Looks first, then weights with those looks.

    Args:
        before: what is kept of embedders that the cases do not know, and where too little is known.
        source: what they are learned from, in words.

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
    weights = replace(before, looks=looks)
    searches: dict[bool, list[Search]] = {False: [], True: []}
    for case in cases:
        case.search.weights = weights
        for is_anchored, one in asyncio.run(_searches(case)):
            searches[is_anchored].append(one)
    return replace(
        weights,
        free=learned_terms(searches[False], FREE, anchored=False),
        anchored=learned_terms(searches[True], ANCHORED, anchored=True),
        learned_from=f"{source}: {n_probes} probes in {len(cases)} run{'s' if len(cases) != 1 else ''}",
    )


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


async def _searches(case: SearchCase) -> list[tuple[bool, Search]]:
    clocks = await case.whereabouts.clocks(case.moment.known_at)
    found = list[tuple[bool, Search]]()
    for probe in case.probes:
        vector = None if probe.view.personal is None else unit_vector(probe.view.personal.embedding)
        if vector is None:
            continue
        anchor = Anchor(camera=probe.view.camera, at=clocks.corrected(probe.view.camera, probe.at))
        for near in (Anchor(), anchor):
            looked_up = await case.search.looked_up(probe.view.embedder, vector, question_of(case, probe, near))
            told = tuple(evidence(looked_up.candidates, looked_up.asked, case.search.distance_m))
            right = tuple(case.right_of.get(one.vehicle) == probe.passage.vehicle for one in looked_up.candidates)
            found.append((near != Anchor(), Search(evidence=told, is_right=right)))
    return found


def learned_from_runs(site: Callable[[Path], Site], runs: Sequence[Path], before: Weights, *, own_identities: bool) -> Weights:
    """Weights from run folders; raises BadInput as ``open_case`` does."""
    cases = [open_case(site(run), run, before, own_identities=own_identities, seed=LEARNING_SEED) for run in runs]
    names = ", ".join(run.resolve().name for run in runs)
    return learned_weights(cases, before, f"{'own identities' if own_identities else 'truth'} of {names}")


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
