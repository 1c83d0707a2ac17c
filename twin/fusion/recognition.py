"""Who began anew, and is found to be one that was lost, after it was taken for a new vehicle.

When a track is confirmed, the vehicle that it is may not be missed yet: its old track waits for boxes that do not come, or
had another's. Every second those that nobody came in as are compared with those that are lost, all at once: the best total
of likelihoods, so that none is taken for one that another fits better.

Source: Kuhn, "The Hungarian method for the assignment problem" (1955); of windows instead of first sight, Reid, "An algorithm
for tracking multiple targets" (1979), on decisions that wait for evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twin.events.ids import SECOND, Micros
from twin.fusion.association import least_total
from twin.fusion.identity import is_seen_since, score_of, vehicle_of
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, known_at

_ALIKE_NATS = 3.0  # more than at first sight: a name that is told already changes
_MARGIN_NATS = 1.5
_QUANTUM = 1e-6
_IMPOSSIBLE = 0.0


class Recognition(NamedTuple):
    """A lost track, the one that its vehicle is seen as now, and by how many nats that is likelier than anything else."""

    lost: Track
    found: Track
    margin: float


def recognitions(state: FusionState, scene: Scene, at: Micros) -> list[Recognition]:
    """Whom those that began anew are, in the order of the found ones."""
    found = [track for track in state.tracks.values() if _began_anew(track, scene, at)]
    if not found or not scene.has_boundary:
        return []
    last_born = max(track.born_at for track in found)
    lost = [track for track in state.tracks.values() if vehicle_of(track) and not is_seen_since(track, last_born)]
    scores = [[_score(track, one, state, scene) for one in lost] for track in found]
    columns = [n for n in range(len(lost)) if any(row[n] > _IMPOSSIBLE for row in scores)]
    if not columns:
        return []
    worth = np.array([[row[n] for n in columns] + [_IMPOSSIBLE] * len(found) for row in scores])
    chosen = least_total(np.rint(-worth / _QUANTUM)).tolist()
    pairs = [
        Recognition(lost[columns[column]], track, _margin(worth[:, : len(columns)].tolist(), row, column))
        for row, (track, column) in enumerate(zip(found, chosen, strict=True))
        if column < len(columns) and worth[row, column] >= _ALIKE_NATS
    ]
    return [pair for pair in pairs if pair.margin >= _MARGIN_NATS]


def _began_anew(track: Track, scene: Scene, at: Micros) -> bool:
    """Whether a vehicle is seen of which nobody knows where it came from."""
    if track.vehicle is None or track.known_at is not None or track.has_entered:
        return False
    if not track.is_inner_birth and scene.is_entrance(track.level, *track.first_m):
        return False
    is_seen = track.status in ("moving", "parked") and at - track.seen_at <= SECOND
    return is_seen and bool(track.gallery) and not scene.may_come_in(track.level, *track.first_m)


def _score(track: Track, lost: Track, state: FusionState, scene: Scene) -> float:
    if lost.id == track.id or known_at(lost) > track.born_at:
        return _IMPOSSIBLE
    score = score_of(track, lost, state, scene)
    return _IMPOSSIBLE if score is None else max(score, _IMPOSSIBLE)


def _margin(scores: Sequence[Sequence[float]], row: int, column: int) -> float:
    """How much likelier either of a pair is with the other than with anybody else, or as a new vehicle."""
    others = [one for n, one in enumerate(scores[row]) if n != column]
    others += [one[column] for n, one in enumerate(scores) if n != row]
    return scores[row][column] - max(others, default=_IMPOSSIBLE)
