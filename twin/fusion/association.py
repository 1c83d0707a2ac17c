"""Which box of a frame is which track: the best total in each component of the pairs that may be.

Shape letters: T tracks, D detections, P pairs.
"""

from __future__ import annotations

import numpy as np

from twin.spatial.compiled import Floats, Ints, compiled

MISS_NATS = 8.0
"""Cost of leaving a detection and a track apart: a pair that costs more is not made."""
_QUANTUM = 1e-6


@compiled
def assign(tracks: Ints, detections: Ints, costs: Floats, n_detections: int, chosen: Ints) -> None:
    """The pairs with the least total cost, a miss costing ``MISS_NATS``.

    Args:
        tracks, detections: (P,) the gate: which pairs may be, each once.
        costs: (P,) negative log-likelihoods in nats.
        n_detections: D.
        chosen: (T,), written to: each track's detection, or -1.

    The Hungarian method runs in each connected component of the gate; costs are quantized to 1e-6, so that
    machines agree on ties.
    """
    n_tracks = len(chosen)
    worth = np.zeros((n_tracks, n_detections))
    for pair in range(len(costs)):
        worth[tracks[pair], detections[pair]] = min(np.rint((costs[pair] - MISS_NATS) / _QUANTUM), 0.0)
    chosen[:] = -1
    is_done = np.zeros(n_tracks, dtype=np.bool_)
    for track in range(n_tracks):
        if not is_done[track]:
            rows, columns = _component(worth, track)
            is_done[rows] = True
            if len(rows) == 1 and len(columns) == 1:
                chosen[track] = columns[0]
            elif len(columns) > 0:
                _choose(worth, rows, columns, chosen)


@compiled
def _component(worth: Floats, track: int) -> tuple[Ints, Ints]:
    """Tracks and detections that pairs which are worth something connect with a track, directly or through others; in order."""
    is_row, is_column = np.zeros(worth.shape[0], dtype=np.bool_), np.zeros(worth.shape[1], dtype=np.bool_)
    todo, n_todo = np.zeros(worth.shape[0], dtype=np.int64), 1
    todo[0], is_row[track] = track, True
    while n_todo > 0:
        n_todo -= 1
        row = todo[n_todo]
        for column in range(worth.shape[1]):
            if worth[row, column] < 0.0 and not is_column[column]:
                is_column[column] = True
                for other in range(worth.shape[0]):
                    if worth[other, column] < 0.0 and not is_row[other]:
                        is_row[other] = True
                        todo[n_todo] = other
                        n_todo += 1
    return np.flatnonzero(is_row), np.flatnonzero(is_column)


@compiled
def _choose(worth: Floats, rows: Ints, columns: Ints, chosen: Ints) -> None:
    """Write the best total of a component. Each track may also take a dummy detection at 0."""
    n, n_real = len(rows), len(columns)
    square = np.zeros((n, n_real + n))
    for row in range(n):
        for column in range(n_real):
            square[row, column] = worth[rows[row], columns[column]]
    taken = least_total(square)
    for row in range(n):
        if taken[row] < n_real and worth[rows[row], columns[taken[row]]] < 0.0:
            chosen[rows[row]] = columns[taken[row]]


@compiled
def least_total(cost: Floats) -> Ints:
    """(R,) a column for each row of an (R, C) matrix, R ≤ C, no column twice, with the least sum: by shortest augmenting paths.

    Source: Crouse, "On implementing 2D rectangular assignment algorithms" (2016), with the ties broken as scipy does it.
    """
    n_rows, n_columns = cost.shape
    u, v = np.zeros(n_rows), np.zeros(n_columns)
    column_of, row_of = np.full(n_rows, -1, dtype=np.int64), np.full(n_columns, -1, dtype=np.int64)
    path, shortest = np.full(n_columns, -1, dtype=np.int64), np.zeros(n_columns)
    left = np.zeros(n_columns, dtype=np.int64)
    for start in range(n_rows):
        is_row, is_column = np.zeros(n_rows, dtype=np.bool_), np.zeros(n_columns, dtype=np.bool_)
        shortest[:] = np.inf
        for n in range(n_columns):
            left[n] = n_columns - n - 1
        n_left, sink, row, least = n_columns, -1, start, 0.0
        while sink < 0:
            is_row[row] = True
            at, lowest = -1, np.inf
            for n in range(n_left):
                column = left[n]
                reduced = least + cost[row, column] - u[row] - v[column]
                if reduced < shortest[column]:
                    path[column], shortest[column] = row, reduced
                if shortest[column] < lowest or (shortest[column] == lowest and row_of[column] < 0):
                    lowest, at = shortest[column], n
            least, column = lowest, left[at]
            if row_of[column] < 0:
                sink = column
            else:
                row = row_of[column]
            is_column[column] = True
            n_left -= 1
            left[at] = left[n_left]
        u[start] += least
        for other in range(n_rows):
            if is_row[other] and other != start:
                u[other] += least - shortest[column_of[other]]
        for column in range(n_columns):
            if is_column[column]:
                v[column] -= least - shortest[column]
        column = sink
        while True:
            row = path[column]
            row_of[column] = row
            column, column_of[row] = column_of[row], column
            if row == start:
                break
    return column_of
