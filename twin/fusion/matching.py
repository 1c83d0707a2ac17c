"""Which of the tracks a frame's boxes are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType

import numpy as np

from twin.events.ids import TrackletId
from twin.fusion.appearance import log_likelihood_ratio
from twin.fusion.association import assign
from twin.fusion.columns import TrackColumns
from twin.fusion.frame import Measured, Seen
from twin.fusion.gating import LINKED_GATE, crossing, near, pairs
from twin.fusion.identity import is_contested
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrackId, TrackletLink
from twin.spatial.compiled import Bools, Floats, Ints

Links = Mapping[TrackletId, TrackletLink]
_NO_LINKS: Links = MappingProxyType({})
_APPEARANCE_WEIGHT = 0.5  # views of one tracklet are not independent of its link


def match(seen: Seen, state: FusionState, columns: TrackColumns, scene: Scene) -> list[tuple[TrackId, int]]:
    """Pairs of tracks and measured boxes of one frame; each track and each box at most once.

    Args:
        columns: of the state's tracks.
    """
    links = state.tracklets.get(seen.pending.camera, _NO_LINKS)
    matched = _settled(seen, state, links)
    settled = set(matched.values())
    asked = [column for column in range(len(seen.measured)) if column not in settled]
    if not asked:
        return sorted(matched.items())
    is_taken = np.zeros(len(columns.kinds), dtype=np.bool_)
    is_taken[[columns.row_by_id[track] for track in matched]] = True
    sure = [column for column in asked if seen.measured[column].box.score >= scene.parameters.sure_score]
    for some in (sure, [column for column in asked if column not in sure]):  # a mere likeness gets what is left
        if some:
            for row, column in _matched(some, seen, state, links, columns, is_taken, scene):
                track, measured = columns.tracks[row], seen.measured[column]
                is_linked = _linked(links.get(measured.box.tracklet), columns) >= 0
                if is_linked or not is_contested(track, measured, seen, state, scene):
                    matched[track.id], is_taken[row] = column, True
    return sorted(matched.items())


def _settled(seen: Seen, state: FusionState, links: Links) -> dict[TrackId, int]:
    """Boxes that have not changed, of tracks that are parked: these stay together without being asked."""
    settled: dict[TrackId, int] = {}
    for column, one in enumerate(seen.measured):
        if not one.is_fresh:
            track = state.tracks.get(links[one.box.tracklet].track)
            if track is not None and track.status == "parked" and track.level == seen.level:
                settled.setdefault(track.id, column)
    return settled


def _matched(
    asked: list[int], seen: Seen, state: FusionState, links: Links, columns: TrackColumns, is_taken: Bools, scene: Scene
) -> list[tuple[int, int]]:
    """The best total among the tracks that are not taken and these boxes, as rows and numbers of boxes."""
    parameters, measured = scene.parameters, [seen.measured[column] for column in asked]
    numbers, times, kinds, level = columns.numbers, columns.times, columns.kinds, columns.level(seen.level)
    numbers_of_boxes = chain.from_iterable([(*one.point_m, *one.covariance_m2) for one in measured])
    boxes = np.fromiter(numbers_of_boxes, np.float64, 5 * len(measured)).reshape(-1, 5)
    q, gate = parameters.acceleration_m2ps3, parameters.gate_d2
    found, ahead = columns.rows(), np.empty((len(kinds), 5))
    n = near(numbers, times, kinds, level, is_taken, seen.at, q, LINKED_GATE * gate, boxes, found, ahead)
    if not n:
        return []
    found, ahead = found[:n], ahead[:n]
    rows: list[int] = found.tolist()
    looks = columns.looks(seen.pending.camera)
    ranks = np.array([one.rank for one in measured])
    row_by_id, linked_to = columns.row_by_id, [links.get(one.box.tracklet) for one in measured]
    linked = np.array([-1 if link is None else row_by_id.get(link.track, -1) for link in linked_to])
    is_crossing = _crossing(asked, seen)
    size, speed = n * len(asked), parameters.max_speed_mps
    of_track, of_box, costs = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64), np.empty(size)
    n = pairs(
        *(numbers, times, kinds, found, ahead, looks, boxes, ranks, linked, is_crossing),
        *(seen.at, gate, speed, of_track, of_box, costs),
    )
    chosen = columns.rows()[: len(rows)]
    numbers_of: list[int] = of_track[:n].tolist()
    tracks = {number: columns.tracks[rows[number]] for number in numbers_of}
    assign(*_looked_at(of_track[:n], of_box[:n], costs[:n], tracks, measured, is_crossing, state), len(asked), chosen)
    return [(rows[number], asked[column]) for number, column in enumerate(chosen.tolist()) if column >= 0]


def _crossing(asked: list[int], seen: Seen) -> Bools:
    """(D,) whether another box of the frame crosses each of these."""
    found = np.empty(len(asked), dtype=np.bool_)
    crossing(seen.corners, np.array(asked), found)
    return found


def _linked(link: TrackletLink | None, columns: TrackColumns) -> int:
    return -1 if link is None else columns.row_by_id.get(link.track, -1)


def _looked_at(
    rows: Ints,
    columns: Ints,
    costs: Floats,
    tracks: Mapping[int, Track],
    measured: list[Measured],
    is_crossing: Bools,
    state: FusionState,
) -> tuple[Ints, Ints, Floats]:
    """The pairs without those that were refused; where a box could be one of several tracks, looks help to tell.

    How a tracklet looked before says nothing while boxes cross: it may be another's from now on.
    """
    of_track: list[int] = rows.tolist()
    of_pair: list[int] = columns.tolist()
    if any(track.refused for track in tracks.values()):
        named = zip(of_track, of_pair, strict=True)
        kept = [measured[column].box.tracklet not in tracks[row].refused for row, column in named]
        rows, columns, costs = rows[kept], columns[kept], costs[kept]
        of_track, of_pair = rows.tolist(), columns.tolist()
    once, several = set[int](), set[int]()
    for column in of_pair:
        (several if column in once else once).add(column)
    views = {column: state.views.get(measured[column].box.tracklet, ()) for column in several if not is_crossing[column]}
    for n, column in enumerate(of_pair):
        if (ours := views.get(column)) and (theirs := tracks[of_track[n]].gallery):
            costs[n] -= _APPEARANCE_WEIGHT * log_likelihood_ratio(ours, theirs, state.scores.nats)
    return rows, columns, costs
