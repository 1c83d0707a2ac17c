"""Truth and tracks at the same moments: twice a second, with whoever stands held at its last position."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twin.errors import BadInput
from twin.evaluation.run_tables import NEVER, Table
from twin.events.ids import SECOND

GRID_US = SECOND // 2
"""Time between samples."""
INTERPOLATED_US = SECOND
"""Longest gap between rows of a moving vehicle that a straight line bridges; over a longer one the earlier row holds."""
IN_MOTION_MPS = 0.3
"""Speed from which a sample is in motion, over the second around it."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """N positions of vehicles at moments of the grid, sorted by moment.

    Attributes:
        names: (V,) vehicles.
        frame: (N,) index of the moment.
        vehicle: (N,) index into ``names``.
        level: (N,) level ids.
        xy_m: (N, 2) site frame.
        row: (N,) row of the table that holds at the moment.
        is_moving: (N,) the state of that row.
    """

    names: NDArray[np.str_]
    frame: Ints
    vehicle: Ints
    level: NDArray[np.str_]
    xy_m: Floats
    row: Ints
    is_moving: Bools

    def where(self, mask: Bools) -> Samples:
        """Only these samples; the names stay."""
        kept = (self.frame[mask], self.vehicle[mask], self.level[mask], self.xy_m[mask], self.row[mask], self.is_moving[mask])
        frame, vehicle, level, xy_m, row, is_moving = kept
        return Samples(names=self.names, frame=frame, vehicle=vehicle, level=level, xy_m=xy_m, row=row, is_moving=is_moving)

    def __len__(self) -> int:
        return len(self.frame)


def grid_of(truth: Table) -> Ints:
    """The moments in the period of the truth, µs.

    Raises:
        BadInput: the truth is empty or spans no moment.
    """
    if not len(truth["t"]):
        raise BadInput("the truth holds no row, so there is nothing to score; check truth.parquet")
    first, last = int(truth["t"].min()), int(truth["t"].max())
    moments = np.arange(-(-first // GRID_US) * GRID_US, last + 1, GRID_US, dtype=np.int64)
    if not len(moments):
        raise BadInput(f"the truth goes from {first} to {last}, less than half a second; are its times microseconds?")
    return moments


def sampled(table: Table, grid: Ints) -> Samples:
    """Every vehicle at every moment at which a row of it holds and gives a position.

    Args:
        table: tracks or truth, sorted by vehicle and time.
        grid: (F,) moments, µs, ascending.
    """
    names, starts = np.unique(table["vehicle"], return_index=True)
    ends = np.append(starts, len(table["vehicle"]))[1:]
    parts = list[tuple[Ints, Ints, Ints]]()
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        times = table["t"][start:end]
        first = int(np.searchsorted(grid, times[0]))
        frames = np.arange(first, len(grid))
        rows = start + np.searchsorted(times, grid[first:], side="right") - 1
        shown = np.isin(table["state"][start:end], ("moving", "parked"))[rows - start]
        parts.append((frames[shown], np.full(int(shown.sum()), number), rows[shown]))
    frame, vehicle, row = (np.concatenate([part[column] for part in parts] or [np.empty(0, np.int64)]) for column in range(3))
    order = np.lexsort((vehicle, frame))
    frame, vehicle, row = frame[order], vehicle[order], row[order].astype(np.int64)
    return Samples(
        names=names,
        frame=frame,
        vehicle=vehicle,
        level=table["level"][row],
        xy_m=_places(table, row, grid[frame]),
        row=row,
        is_moving=table["state"][row] == "moving",
    )


def places_at(table: Table, vehicle: str, times: Ints) -> Floats:
    """(N, 2) positions of one vehicle, interpolated as on the grid; NaN where no row holds."""
    start, end = (int(np.searchsorted(table["vehicle"], vehicle, side=side)) for side in ("left", "right"))
    found = np.full((len(times), 2), np.nan)
    if start == end:
        return found
    rows = start + np.searchsorted(table["t"][start:end], times, side="right") - 1
    holds = (rows >= start) & np.isin(table["state"][np.maximum(rows, start)], ("moving", "parked"))
    found[holds] = _places(table, rows[holds], times[holds])
    return found


def in_motion(samples: Samples, grid: Ints) -> Bools:
    """(N,) whether a sample is faster than ``IN_MOTION_MPS`` between its neighbours on the grid."""
    order = np.lexsort((samples.frame, samples.vehicle))
    frame, vehicle, xy_m = samples.frame[order], samples.vehicle[order], samples.xy_m[order]
    joined = (vehicle[1:] == vehicle[:-1]) & (frame[1:] == frame[:-1] + 1)
    here = np.arange(len(frame))
    before = np.maximum(here - np.concatenate([[False], joined])[: len(here)], 0)
    after = np.minimum(here + np.concatenate([joined, [False]])[: len(here)], len(here) - 1)
    moved_m = np.hypot(*(xy_m[after] - xy_m[before]).T)
    seconds = (grid[frame[after]] - grid[frame[before]]) / SECOND
    fast = moved_m > IN_MOTION_MPS * np.maximum(seconds, 1e-9)
    found = np.zeros(len(frame), dtype=bool)
    found[order] = fast & (seconds > 0)
    return found


def on_visit(samples: Samples, grid: Ints, visits: Table | None) -> Bools:
    """(N,) whether a true sample lies in one of its vehicle's stays; all do where no stays are given."""
    if visits is None:
        return np.ones(len(samples), dtype=bool)
    found, times = np.zeros(len(samples), dtype=bool), grid[samples.frame]
    order = np.argsort(samples.vehicle, kind="stable")
    bounds = np.searchsorted(samples.vehicle[order], np.arange(len(samples.names) + 1))
    index = {name: number for number, name in enumerate(samples.names.tolist())}
    for name, entry_t, exit_t in zip(visits["vehicle"].tolist(), visits["entry_t"], visits["exit_t"], strict=True):
        if (number := index.get(name)) is not None:
            mine = order[bounds[number] : bounds[number + 1]]
            found[mine] |= (times[mine] >= entry_t) & ((exit_t == NEVER) | (times[mine] < exit_t))
    return found


def by_stay(samples: Samples, grid: Ints, visits: Table | None) -> Samples:
    """The same, with a vehicle that leaves and comes back as another one, of the same name, from each further entry on."""
    if visits is None:
        return samples
    names, vehicle, times = samples.names.tolist(), samples.vehicle.copy(), grid[samples.frame]
    index, known = {name: number for number, name in enumerate(names)}, set[str]()
    for stay in np.argsort(visits["entry_t"], kind="stable").tolist():
        name = str(visits["vehicle"][stay])
        if name in known and name in index:
            vehicle[(vehicle == index[name]) & (times >= visits["entry_t"][stay])] = len(names)
            index[name] = len(names)
            names.append(name)
        known.add(name)
    return replace(samples, names=np.array(names, dtype=np.str_), vehicle=vehicle)


def longest_run(frames: Ints) -> int:
    """The first of the longest unbroken run of moments, given ascending and at least one."""
    starts = np.flatnonzero(np.concatenate([[True], np.diff(frames) > 1]))
    lengths = np.diff(np.append(starts, len(frames)))
    return int(frames[starts[np.argmax(lengths)]])


def _places(table: Table, rows: Ints, times: Ints) -> Floats:
    """(N, 2) where the rows' vehicles are at times at or after the rows'."""
    xy_m = np.stack([table["x_m"], table["y_m"]], axis=1)
    following = np.minimum(rows + 1, len(xy_m) - 1)
    gap = table["t"][following] - table["t"][rows]
    bridged = (
        (following > rows) & (table["vehicle"][following] == table["vehicle"][rows]) & (gap > 0) & (gap <= INTERPOLATED_US)
    )
    bridged &= (table["state"][rows] == "moving") & np.isin(table["state"][following], ("moving", "parked"))
    bridged &= table["level"][following] == table["level"][rows]
    share = np.where(bridged, (times - table["t"][rows]) / np.maximum(gap, 1), 0.0)[:, None]
    return xy_m[rows] + np.where(bridged[:, None], share * (xy_m[following] - xy_m[rows]), 0.0)
