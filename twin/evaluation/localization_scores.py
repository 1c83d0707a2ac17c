"""``twin eval localization``: how far stated positions are off, and whether their stated covariance is honest."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from twin.evaluation.figures import Figure, Quantile, Sums
from twin.evaluation.grid import GRID_US, Bools, Floats, Ints, Samples, places_at
from twin.evaluation.pairing import best_pairs, pairs_of
from twin.evaluation.run_tables import Table, read_table
from twin.evaluation.scored import Case, Scored
from twin.evaluation.tracking_scores import scene_of

SAME_M = 5.0
"""A track farther from a vehicle is not a bad position of it, but a missed and a made-up one: tracking counts those."""
CHI2_95 = 5.991464547
"""95 % quantile of chi-squared with 2 degrees of freedom."""

_CASES = 10


def localization(run: Path) -> Scored:
    """Errors of the tracks' rows, each at its own time; one row for a vehicle that stands.

    Raises:
        BadInput: a table is absent or faulty, or truth and tracks do not overlap in time.
    """
    grid, truth, samples, counts = scene_of(run)
    true_table, tracks = read_table(run, "truth"), read_table(run, "tracks")
    rows = _stated(tracks)
    vehicle = _partners(
        truth, samples, counts, grid, np.searchsorted(samples.names, tracks["vehicle"][rows]), tracks["t"][rows]
    )
    rows, vehicle = rows[vehicle >= 0], vehicle[vehicle >= 0]
    off_m = np.stack([tracks["x_m"][rows], tracks["y_m"][rows]], axis=1) - _true_places(
        true_table, truth, vehicle, tracks["t"][rows]
    )
    known = np.isfinite(off_m[:, 0])
    rows, vehicle, off_m = rows[known], vehicle[known], off_m[known]
    errors_m = np.hypot(*off_m.T)
    figures: dict[str, Figure] = {
        "position_median_m": Quantile(values=errors_m, unit=vehicle, q=0.5),
        "position_p95_m": Quantile(values=errors_m, unit=vehicle, q=0.95),
        "nees_coverage95": _coverage(tracks, rows, vehicle, off_m, len(truth.names)),
    }
    return Scored(n=len(rows), figures=figures, cases=_cases(tracks, rows, vehicle, errors_m, truth))


def _stated(tracks: Table) -> Ints:
    """Rows that state a position, without those that only repeat where a parked vehicle stands."""
    has_place = np.isin(tracks["state"], ("moving", "parked"))
    again = np.zeros(len(has_place), dtype=bool)
    again[1:] = (tracks["state"][1:] == "parked") & np.logical_and.reduce(
        [tracks[name][1:] == tracks[name][:-1] for name in ("vehicle", "state", "level", "x_m", "y_m")]
    )
    return np.flatnonzero(has_place & ~again)


def _partners(truth: Samples, samples: Samples, counts: Bools, grid: Ints, named: Ints, t: Ints) -> Ints:
    """(R,) the true vehicle that each row's track is matched with at the nearest moment; -1: none that counts."""
    pairs = pairs_of(truth, samples, SAME_M)
    best = best_pairs(pairs.true, pairs.track, 1.0 + 1e-9 - pairs.distance_m / SAME_M)
    best = best[counts[pairs.true[best]]]
    key = samples.vehicle[pairs.track[best]] * len(grid) + samples.frame[pairs.track[best]]
    order = np.argsort(key)
    key, vehicle = key[order], truth.vehicle[pairs.true[best]][order]
    frame = np.rint((t - grid[0]) / GRID_US).astype(np.int64)
    wanted = named * len(grid) + np.clip(frame, 0, len(grid) - 1)
    place = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
    if not len(key):
        return np.full(len(t), -1, dtype=np.int64)
    return np.where((key[place] == wanted) & (frame >= 0) & (frame < len(grid)), vehicle[place], -1)


def _true_places(table: Table, truth: Samples, vehicle: Ints, t: Ints) -> Floats:
    """(R, 2) where the vehicles were at these times."""
    places = np.full((len(t), 2), np.nan)
    for number in np.unique(vehicle):
        mine = vehicle == number
        places[mine] = places_at(table, str(truth.names[number]), t[mine])
    return places


def _coverage(tracks: Table, rows: Ints, vehicle: Ints, off_m: Floats, n_vehicles: int) -> Sums:
    """The share of errors under the 95 % quantile of their covariance, where one is stated."""
    xx, xy, yy = (tracks[name][rows] for name in ("xx", "xy", "yy"))
    stated = np.isfinite(xx)
    dx, dy = off_m[stated].T
    xx, xy, yy = xx[stated], xy[stated], yy[stated]
    d2 = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / (xx * yy - xy * xy)
    covered = np.bincount(vehicle[stated], d2 <= CHI2_95, minlength=n_vehicles)
    parts = np.column_stack([covered, np.bincount(vehicle[stated], minlength=n_vehicles)]).astype(float)
    return Sums(parts=parts[parts[:, 1] > 0], figure=_share, n=int(stated.sum()))


def _share(sums: Floats) -> float:
    return float(sums[0] / sums[1]) if sums[1] else float("nan")


def _cases(tracks: Table, rows: Ints, vehicle: Ints, errors_m: Floats, truth: Samples) -> list[Case]:
    """The farthest position of each vehicle, the farthest first."""
    found, told = list[Case](), set[int]()
    for place in np.argsort(-errors_m, kind="stable"):
        number, row = int(vehicle[place]), rows[place]
        if number not in told and len(told) < _CASES:
            told.add(number)
            fields = {"error_m": round(float(errors_m[place]), 3), "track": str(tracks["vehicle"][row])}
            name, at, weight = str(truth.names[number]), int(tracks["t"][row]), float(errors_m[place])
            found.append(Case(case="position outlier", vehicle=name, at=at, weight=weight, fields=fields))
    return found
