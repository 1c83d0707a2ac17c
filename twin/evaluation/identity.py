"""IDF1: each track stands for one true vehicle at most, over the whole run.

Source: Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking" (2016).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from twin.evaluation.grid import Ints, Samples
from twin.evaluation.pairing import Pairs


def identities(truth: Samples, tracks: Samples, pairs: Pairs, within_m: float) -> tuple[Ints, Ints]:
    """Who stands for whom, and how long: the one-to-one choice with the most samples within reach of each other.

    Returns:
        (V,) the track of each true vehicle, -1 for none; (V,) samples in which the two were within reach.
    """
    near = pairs.distance_m <= within_m
    shared = np.zeros((len(truth.names), len(tracks.names)))
    np.add.at(shared, (truth.vehicle[pairs.true[near]], tracks.vehicle[pairs.track[near]]), 1.0)
    track, agreed = np.full(len(truth.names), -1), np.zeros(len(truth.names), dtype=np.int64)
    rows, columns = linear_sum_assignment(shared, maximize=True)
    together = shared[rows, columns] > 0
    rows, columns = rows[together], columns[together]
    track[rows], agreed[rows] = columns, shared[rows, columns].astype(np.int64)
    return track, agreed
