"""CLEAR: matches that go on while they can, misses, false samples and identity switches.

Source: Bernardin & Stiefelhagen, "Evaluating Multiple Object Tracking Performance" (2008), as TrackEval computes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin.evaluation.grid import Bools, Ints, Samples
from twin.evaluation.pairing import Pairs, best_pairs


@dataclass(frozen=True, kw_only=True)
class Clear:
    """The matched pairs, and the switches among them.

    Attributes:
        matched: (M,) indices of pairs, by moment.
        switches: (S,) those of ``matched`` (as indices of pairs) where a true vehicle goes on as another track.
        before: (S,) the track that it was last.
    """

    matched: Ints
    switches: Ints
    before: Ints


def clear_matches(truth: Samples, tracks: Samples, pairs: Pairs, within_m: float) -> Clear:
    """Match moment by moment: a pair of the moment before is kept while it is within reach, the rest is matched nearest."""
    near = np.flatnonzero(pairs.distance_m <= within_m)
    frame = truth.frame[pairs.true[near]]
    bounds = np.searchsorted(frame, np.arange(int(truth.frame.max(initial=-1)) + 2))
    has_both = _has_both(truth, tracks, len(bounds) - 1)
    score = 1.0 - pairs.distance_m / (2.0 * within_m)
    last, previous = (np.full(len(truth.names), -1) for _ in range(2))
    matched, switches, before = list[Ints](), list[Ints](), list[Ints]()
    for number in np.flatnonzero(has_both):
        here = near[bounds[number] : bounds[number + 1]]
        trues, names = truth.vehicle[pairs.true[here]], tracks.vehicle[pairs.track[here]]
        kept = here[previous[trues] == names]
        if len(kept) < len(here):
            is_open = ~np.isin(pairs.true[here], pairs.true[kept]) & ~np.isin(pairs.track[here], pairs.track[kept])
            rest = here[is_open]
            kept = np.concatenate([kept, rest[best_pairs(pairs.true[rest], pairs.track[rest], score[rest])]])
        trues, names = truth.vehicle[pairs.true[kept]], tracks.vehicle[pairs.track[kept]]
        is_switch = (last[trues] >= 0) & (last[trues] != names)
        if is_switch.any():
            switches.append(kept[is_switch])
            before.append(last[trues[is_switch]])
        previous[:] = -1
        last[trues] = previous[trues] = names
        matched.append(kept)
    none = np.empty(0, np.int64)
    return Clear(
        matched=np.concatenate([none, *matched]),
        switches=np.concatenate([none, *switches]),
        before=np.concatenate([none, *before]),
    )


def _has_both(truth: Samples, tracks: Samples, n_frames: int) -> Bools:
    n_true = np.bincount(truth.frame, minlength=n_frames)[:n_frames]
    n_tracks = np.bincount(tracks.frame, minlength=n_frames)[:n_frames]
    return (n_true > 0) & (n_tracks > 0)
