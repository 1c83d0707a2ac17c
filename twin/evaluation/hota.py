"""HOTA: detection and association of tracks, each counted at 19 thresholds of similarity.

Source: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking" (IJCV 2021), as TrackEval computes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin.evaluation.grid import Floats, Ints, Samples
from twin.evaluation.pairing import REACH_M, Pairs, best_pairs

ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True, kw_only=True)
class HotaCounts:
    """What each true vehicle, and each vehicle that was made up, adds at each threshold (A of them).

    Attributes:
        tp, fn, association: (V, A) of the true vehicles; ``association`` sums each match's association accuracy.
        fp: (W, A) of the tracks.
    """

    tp: Floats
    fn: Floats
    association: Floats
    fp: Floats


def similarity(distance_m: Floats) -> Floats:
    """max(0, 1 - d / 3 m)."""
    return np.maximum(0.0, 1.0 - distance_m / REACH_M)


def hota_counts(truth: Samples, tracks: Samples, pairs: Pairs) -> HotaCounts:
    """Match each moment by similarity and by how much the two vehicles agree over all moments, then count."""
    n_true, n_tracks = (
        np.bincount(truth.vehicle, minlength=len(truth.names)),
        np.bincount(tracks.vehicle, minlength=len(tracks.names)),
    )
    alike = similarity(pairs.distance_m)
    rows = np.bincount(pairs.true, alike, minlength=len(truth))
    columns = np.bincount(pairs.track, alike, minlength=len(tracks))
    union = rows[pairs.true] + columns[pairs.track] - alike
    jaccard = np.where(union > _EPSILON, alike / np.maximum(union, _EPSILON), 0.0)
    both = truth.vehicle[pairs.true] * len(tracks.names) + tracks.vehicle[pairs.track]
    duos, duo = np.unique(both, return_inverse=True)
    duo_true, duo_track = np.divmod(duos, max(len(tracks.names), 1))
    agreed = np.bincount(duo, jaccard, minlength=len(duos))
    alignment = agreed / (n_true[duo_true] + n_tracks[duo_track] - agreed)
    matched = best_pairs(pairs.true, pairs.track, alignment[duo] * alike)
    passed = _passed(alike[matched])
    return _counted(truth, tracks, (duo[matched], passed), (duo_true, duo_track), (n_true, n_tracks))


def hota_of(tp: Floats, fn: Floats, fp: Floats, association: Floats) -> tuple[float, float, float]:
    """HOTA, DetA and AssA of (A,) sums."""
    detection = tp / np.maximum(1, tp + fn + fp)
    associated = association / np.maximum(1, tp)
    return float(np.sqrt(detection * associated).mean()), float(detection.mean()), float(associated.mean())


def _passed(alike: Floats) -> Ints:
    """(M,) how many thresholds a match passes: the lowest ones."""
    return np.searchsorted(ALPHAS - _EPSILON, alike, side="right")


def _counted(
    truth: Samples, tracks: Samples, matches: tuple[Ints, Ints], duos: tuple[Ints, Ints], sizes: tuple[Ints, Ints]
) -> HotaCounts:
    (duo, passed), (duo_true, duo_track), (n_true, n_tracks) = matches, duos, sizes
    at_least = np.zeros((len(duo_true), len(ALPHAS) + 1))
    np.add.at(at_least, (duo, passed), 1.0)
    counts = at_least[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]  # (duos, A): matches that pass at least this threshold
    accuracy = counts / np.maximum(1, n_true[duo_true][:, None] + n_tracks[duo_track][:, None] - counts)
    tp, association = np.zeros((len(truth.names), len(ALPHAS))), np.zeros((len(truth.names), len(ALPHAS)))
    claimed = np.zeros((len(tracks.names), len(ALPHAS)))
    np.add.at(tp, duo_true, counts)
    np.add.at(association, duo_true, counts * accuracy)
    np.add.at(claimed, duo_track, counts)
    return HotaCounts(tp=tp, fn=n_true[:, None] - tp, association=association, fp=n_tracks[:, None] - claimed)
