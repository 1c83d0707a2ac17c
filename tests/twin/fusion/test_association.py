"""Assignment: the best total, inside the gate."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twin.errors import ShapeError
from twin.fusion.association import MISS_NATS, assign, squared_mahalanobis


def test_best_total_beats_best_single_pair():
    # Greedy would take (0, 0) at 0.0 and leave track 1 with nothing inside the gate.
    cost = np.array([[0.0, 1.0], [1.0, 50.0]])
    assert assign(cost, np.ones((2, 2), dtype=bool)) == [(0, 1), (1, 0)]


def total(pairs, cost):
    return sum(cost[pair] - MISS_NATS for pair in pairs)


def brute(cost, is_allowed):
    n_tracks, n_detections = cost.shape
    best = 0.0
    columns = [*range(n_detections), *([None] * n_tracks)]
    for chosen in set(permutations(columns, n_tracks)):
        pairs = [(row, column) for row, column in enumerate(chosen) if column is not None]
        if all(is_allowed[pair] for pair in pairs):
            best = min(best, total(pairs, cost))
    return best


@given(arrays(float, (3, 3), elements=st.floats(-5, 20)), arrays(bool, (3, 3)))
def test_no_other_assignment_costs_less(cost, is_allowed):
    pairs = assign(cost, is_allowed)
    assert all(is_allowed[pair] for pair in pairs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert total(pairs, cost) == pytest.approx(brute(cost, is_allowed), abs=1e-4)


def test_nothing_outside_the_gate_and_nothing_worse_than_a_miss_is_paired():
    cost = np.array([[1.0, MISS_NATS + 1.0]])
    assert assign(cost, np.array([[False, True]])) == []


def test_distance_is_the_whitened_one():
    d2, ln_determinant = squared_mahalanobis(
        np.array([[0.0, 0.0]]), np.array([[1.0, 0.5, 2.0]]), np.array([[1.0, -1.0]]), np.array([[0.5, 0.0, 0.5]])
    )
    s = np.array([[1.5, 0.5], [0.5, 2.5]])
    off = np.array([1.0, -1.0])
    assert d2[0, 0] == pytest.approx(off @ np.linalg.inv(s) @ off)
    assert ln_determinant[0, 0] == pytest.approx(np.log(np.linalg.det(s)), abs=1e-7)


def test_wrong_shapes_are_named():
    with pytest.raises(ShapeError, match="rows must agree"):
        squared_mahalanobis(np.zeros((2, 2)), np.zeros((1, 3)), np.zeros((1, 2)), np.zeros((1, 3)))
