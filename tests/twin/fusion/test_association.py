"""Assignment: the best total, inside the gate."""

from itertools import permutations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from twin.events.ids import SECOND
from twin.fusion.association import MISS_NATS, assign, least_total
from twin.fusion.gating import (
    CROSSING_NATS,
    LINK_NATS,
    LINKED_GATE,
    MOVING,
    NEIGHBOUR_M,
    PARKED,
    TENTATIVE,
    crossing,
    near,
    pairs,
)
from twin.fusion.motion import born, predict
from twin.fusion.place import CLEAR, CUT


def assigned(cost, is_allowed):
    tracks, detections = (np.ascontiguousarray(part) for part in np.nonzero(is_allowed))
    chosen = np.zeros(len(cost), dtype=np.int64)
    assign(tracks, detections, cost[is_allowed], cost.shape[1], chosen)
    return [(row, column) for row, column in enumerate(chosen.tolist()) if column >= 0]


def test_best_total_beats_best_single_pair():
    # Greedy would take (0, 0) at 0.0 and leave track 1 with nothing inside the gate.
    cost = np.array([[0.0, 1.0], [1.0, 50.0]])
    assert assigned(cost, np.ones((2, 2), dtype=bool)) == [(0, 1), (1, 0)]


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
    pairs = assigned(cost, is_allowed)
    assert all(is_allowed[pair] for pair in pairs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert total(pairs, cost) == pytest.approx(brute(cost, is_allowed), abs=1e-4)


def test_nothing_outside_the_gate_and_nothing_worse_than_a_miss_is_paired():
    cost = np.array([[1.0, MISS_NATS + 1.0]])
    assert assigned(cost, np.array([[False, True]])) == []


@given(arrays(int, (4, 7), elements=st.integers(-3, 3)))
def test_ties_are_broken_as_scipy_breaks_them(cost):
    assert least_total(cost.astype(float)).tolist() == linear_sum_assignment(cost)[1].tolist()


def paired(*asked):
    found = np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1)
    n = pairs(np.zeros((1, 14)), *asked, *found)
    return tuple(part[:n].tolist() for part in found)


def gated(own=(0.0, 0.0, 1.0, 0.0, 1.0, -1.0), link=-1, status=MOVING, gate=9.21, seen_at=0, is_crossing=False):
    """The pairs of one track at the origin, S = [[1.5, 0.5], [0.5, 2.5]] with the box at (1, -1)."""
    kinds, times = np.array([[0, status, 1, 0]]), np.array([[0, seen_at]])
    boxes = np.array([[1.0, -1.0, 0.5, 0.0, 0.5]])
    ahead, rows = np.array([[0.0, 0.0, 1.0, 0.5, 2.0]]), np.array([0])
    ranks, links = np.array([CLEAR]), np.array([link])
    return paired(times, kinds, rows, ahead, np.array([own]), boxes, ranks, links, np.array([is_crossing]), 0, gate, 60.0)


S, OFF = np.array([[1.5, 0.5], [0.5, 2.5]]), np.array([1.0, -1.0])
D2 = OFF @ np.linalg.inv(S) @ OFF


def test_a_pair_costs_half_the_whitened_distance_and_the_spread():
    (_,), (_,), (nats,) = gated()
    assert nats == pytest.approx(0.5 * (D2 + np.log(np.linalg.det(S))), abs=1e-7)


def test_a_link_is_worth_its_nats_and_widens_the_gate():
    assert len(gated(gate=D2 / 2)[2]) == 0
    (_,), (_,), (nats,) = gated(gate=D2 / 2, link=0)
    assert nats == pytest.approx(gated()[2][0] - LINK_NATS)
    assert len(gated(gate=D2 / (LINKED_GATE + 1), link=0)[2]) == 0


def test_a_link_is_worth_less_while_two_boxes_cross():
    (_,), (_,), (nats,) = gated(link=0, is_crossing=True)
    assert nats == pytest.approx(gated()[2][0] - CROSSING_NATS)
    # Of 4 x 4 boxes, one that is 3 to the right shares 4 of 28, one that is 2 to the right 8 of 24.
    corners = np.array([[0.0, 0, 4, 4], [3.0, 0, 7, 4], [5.0, 0, 9, 4], [20.0, 0, 24, 4]])
    found = np.zeros(3, dtype=np.bool_)
    crossing(corners, np.array([0, 1, 3]), found)
    assert found.tolist() == [False, True, False]


def test_a_parked_vehicle_takes_a_strange_box_only_where_its_neighbours_would_not():
    assert NEIGHBOUR_M > 1.42
    assert len(gated(status=PARKED)[2]) == 1
    far = np.array([[2.0, -1.0, 0.5, 0.0, 0.5]])
    one = np.array([[0, PARKED, 1, 0]]), np.array([0]), np.array([[0.0, 0.0, 1.0, 0.5, 2.0]]), np.array([[0.0, 0, 1, 0, 1, -1]])
    kinds, rows, ahead, own = one
    parked = paired(np.zeros((1, 2), int), kinds, rows, ahead, own, far, rows, rows - 1, rows > 0, 0, 9.21, 60.0)
    assert len(parked[2]) == 0


def test_a_camera_that_knows_a_parked_vehicle_goes_by_its_own_looks():
    (_,), (_,), (nats,) = gated(own=(1.0, -1.0, 0.1, 0.0, 0.1, float(CLEAR)), status=PARKED)
    assert nats == pytest.approx(0.5 * np.log(0.01), abs=1e-7)  # it is just where that camera sees it
    assert gated(own=(1.0, -1.0, 0.1, 0.0, 0.1, float(CUT)), status=PARKED)[2] == gated(status=PARKED)[2]


@pytest.mark.parametrize(
    ("aside_m", "unseen_s", "status", "link", "n"),
    [
        (5.0, 0.6, MOVING, -1, 0),  # it would have had to swerve by 5 m
        (3.5, 0.6, MOVING, -1, 1),
        (5.0, 1.0, MOVING, -1, 1),
        (5.0, 0.6, MOVING, 0, 1),  # it is its own tracklet's
        (5.0, 0.6, TENTATIVE, -1, 1),  # where that drives nobody knows yet
    ],
)
def test_what_comes_into_sight_beside_a_vehicle_that_was_not_seen_for_a_moment_is_somebody_else(
    aside_m, unseen_s, status, link, n
):
    kinds, rows, ahead = np.array([[0, status, 0, 0]]), np.array([0]), np.array([[0.0, 0.0, 5.0, 0.0, 5.0]])
    own, boxes = np.array([[0.0, 0.0, 1.0, 0.0, 1.0, -1.0]]), np.array([[aside_m, 0.0, 0.5, 0.0, 0.5]])
    at = round(unseen_s * SECOND)
    found = paired(np.zeros((1, 2), int), kinds, rows, ahead, own, boxes, rows, np.array([link]), rows > 0, at, 9.21, 60.0)
    assert len(found[2]) == n


def tracks_at(*places, q_at=SECOND):
    numbers = np.array([(x, y, 1.0, 0.0, *born(0, x, y, (1.0, 0.2, 2.0), 2.0).p) for x, y in places])
    kinds = np.array([(0, MOVING, 0, 0) for _ in places])
    boxes = np.array([[0.0, 0.0, 0.5, 0.0, 0.5], [4.0, 4.0, 0.5, 0.0, 0.5]])
    n, rows, ahead = len(places), np.zeros(len(places), np.int64), np.zeros((len(places), 5))
    n = near(numbers, np.zeros((n, 2), int), kinds, 0, np.zeros(n, bool), q_at, 3.0, 9.21, boxes, rows, ahead)
    return rows[:n], ahead[:n]


def test_near_tracks_are_where_their_motion_takes_them():
    rows, ahead = tracks_at((1.0, 2.0), (500.0, 2.0), (3.0, 3.0))
    assert rows.tolist() == [0, 2]
    there = predict(msgspec.structs.replace(born(0, 1.0, 2.0, (1.0, 0.2, 2.0), 2.0), vx=1.0), SECOND, 3.0)
    assert ahead[0].tolist() == [there.x, there.y, *there.covariance_m2]
