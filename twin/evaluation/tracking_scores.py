"""``twin eval tracking``: do the tracks show each vehicle, where it is, as one and the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.errors import BadInput
from twin.evaluation.clear import Clear, clear_matches
from twin.evaluation.figures import Figure, Sums
from twin.evaluation.grid import Bools, Floats, Ints, Samples, by_stay, grid_of, in_motion, longest_run, on_visit, sampled
from twin.evaluation.hota import ALPHAS, HotaCounts, hota_counts, hota_of
from twin.evaluation.identity import identities
from twin.evaluation.pairing import Pairs, best_pairs, pairs_of
from twin.evaluation.run_tables import has_table, read_table
from twin.evaluation.scored import Case, Scored

WITHIN_M = 2.0
"""Farthest that a track may be from the vehicle that it is matched with, for IDF1, MOTA and switches."""


def tracking(run: Path) -> Scored:
    """HOTA, IDF1, MOTA and switches of a run. Who left the site and comes back is another one: a stay has one identity.

    Raises:
        BadInput: a table is absent or faulty, or truth and tracks do not overlap in time.
    """
    grid, truth, tracks, counts = scene_of(run)
    truth, tracks, pairs = without_ignored(truth, tracks, pairs_of(truth, tracks), counts)
    clear = clear_matches(truth, tracks, pairs, WITHIN_M)
    owner, agreed = identities(truth, tracks, pairs, WITHIN_M)
    figures: dict[str, Figure] = {**_hota(truth, tracks, hota_counts(truth, tracks, pairs), owner)}
    figures["idf1"] = _idf1(truth, tracks, owner, agreed)
    figures["idf1_moving"] = _idf1_moving(truth, tracks, pairs, grid)
    figures |= _clear(truth, tracks, pairs, clear, owner)
    cases = [*_switches(truth, tracks, pairs, clear, grid), *_missed(truth, pairs, clear, grid)]
    return Scored(n=len(truth), figures=figures, cases=[*cases, *_made_up(tracks, pairs, clear, grid)])


def scene_of(run: Path) -> tuple[Ints, Samples, Samples, Bools]:
    """The grid, truth and tracks on it, and which true samples lie in a stay. Each further stay is another vehicle's.

    Raises:
        BadInput: as ``tracking``.
    """
    truth_table, track_table = read_table(run, "truth"), read_table(run, "tracks")
    grid = grid_of(truth_table)
    times = track_table["t"]
    if len(times) and (times.max() < grid[0] or times.min() > grid[-1]):
        if len(grid) == 1:
            raise BadInput(
                f"the truth of run '{run}' is of one moment, {grid[0]}, as nobody moves in it, and its tracks are of others; "
                "give a longer run, in which somebody does"
            )
        raise BadInput(
            f"run '{run}' has tracks from {times.min()} to {times.max()}, but truth from {grid[0]} to {grid[-1]}; "
            "both are microseconds UTC of the same period"
        )
    truth = sampled(truth_table, grid)
    visits = read_table(run, "visits") if has_table(run, "visits") else None
    return grid, by_stay(truth, grid, visits), sampled(track_table, grid), on_visit(truth, grid, visits)


def without_ignored(truth: Samples, tracks: Samples, pairs: Pairs, counts: Bools) -> tuple[Samples, Samples, Pairs]:
    """Only the true samples that count; track samples that are best explained by one that does not are left out too."""
    best = best_pairs(pairs.true, pairs.track, 1.0 + 1e-9 - pairs.distance_m / 3.0)
    is_kept = np.ones(len(tracks), dtype=bool)
    is_kept[pairs.track[best][~counts[pairs.true[best]]]] = False
    both = counts[pairs.true] & is_kept[pairs.track]
    new_true, new_track = np.cumsum(counts) - 1, np.cumsum(is_kept) - 1
    kept = Pairs(true=new_true[pairs.true[both]], track=new_track[pairs.track[both]], distance_m=pairs.distance_m[both])
    return truth.where(counts), tracks.where(is_kept), kept


def _idf1_moving(truth: Samples, tracks: Samples, pairs: Pairs, grid: Ints) -> Sums:
    """Vehicles that stand are left out on both sides, and tracks that stand unless they are where a vehicle moves."""
    moves = in_motion(truth, grid)
    scored, shown, pairs = without_ignored(truth, tracks, pairs, moves)
    is_claimed = in_motion(shown, grid)
    is_claimed[pairs.track[pairs.distance_m <= WITHIN_M]] = True
    kept = np.cumsum(is_claimed) - 1
    both = is_claimed[pairs.track]
    shown = shown.where(is_claimed)
    pairs = Pairs(true=pairs.true[both], track=kept[pairs.track[both]], distance_m=pairs.distance_m[both])
    owner, agreed = identities(scored, shown, pairs, WITHIN_M)
    return _idf1(scored, shown, owner, agreed)


def _idf1(truth: Samples, tracks: Samples, owner: Ints, agreed: Ints) -> Sums:
    n_true = np.bincount(truth.vehicle, minlength=len(truth.names)).astype(float)
    n_tracks = np.bincount(tracks.vehicle, minlength=len(tracks.names)).astype(float)
    parts = np.column_stack([agreed, n_true])
    return Sums(parts=_with_tracks(parts, n_tracks[:, None], owner), figure=_f1, n=len(truth))


def _f1(sums: Floats) -> float:
    total = sums[1] + sums[2]
    return float(2.0 * sums[0] / total) if total else float("nan")


def _hota(truth: Samples, tracks: Samples, counts: HotaCounts, owner: Ints) -> dict[str, Figure]:
    parts = _with_tracks(np.hstack([counts.tp, counts.fn, counts.association]), counts.fp, owner)

    def figure(which: int) -> Sums:
        def of(sums: Floats) -> float:
            tp, fn, association, fp = sums.reshape(4, len(ALPHAS))
            return hota_of(tp, fn, fp, association)[which]

        return Sums(parts=parts, figure=of, n=len(truth))

    return {"hota": figure(0), "deta": figure(1), "assa": figure(2)}


def _clear(truth: Samples, tracks: Samples, pairs: Pairs, clear: Clear, owner: Ints) -> dict[str, Figure]:
    n_true = np.bincount(truth.vehicle, minlength=len(truth.names)).astype(float)
    n_tracks = np.bincount(tracks.vehicle, minlength=len(tracks.names)).astype(float)
    tp = np.bincount(truth.vehicle[pairs.true[clear.matched]], minlength=len(truth.names))
    claimed = np.bincount(tracks.vehicle[pairs.track[clear.matched]], minlength=len(tracks.names))
    switches = np.bincount(truth.vehicle[pairs.true[clear.switches]], minlength=len(truth.names))
    parts = _with_tracks(np.column_stack([tp, n_true, switches]), (n_tracks - claimed)[:, None], owner)
    return {
        "mota": Sums(parts=parts, figure=_mota, n=len(truth)),
        "id_switches": Sums(parts=parts, figure=_switch_count, n=len(truth)),
    }


def _mota(sums: Floats) -> float:
    tp, n_true, switches, fp = sums
    return float((tp - fp - switches) / n_true) if n_true else float("nan")


def _switch_count(sums: Floats) -> float:
    return float(sums[2])


def _with_tracks(of_true: NDArray[Any], of_tracks: NDArray[Any], owner: Ints) -> Floats:
    """(units, K + L): a true vehicle with the track that stands for it is one unit, each other track is one by itself."""
    units = np.hstack([of_true, np.zeros((len(of_true), of_tracks.shape[1]))])
    has_track = owner >= 0
    units[has_track, of_true.shape[1] :] = of_tracks[owner[has_track]]
    is_free = np.ones(len(of_tracks), dtype=bool)
    is_free[owner[has_track]] = False
    alone = np.hstack([np.zeros((int(is_free.sum()), of_true.shape[1])), of_tracks[is_free]])
    return np.vstack([units, alone])


def _switches(truth: Samples, tracks: Samples, pairs: Pairs, clear: Clear, grid: Ints) -> list[Case]:
    found = list[Case]()
    n_of = np.bincount(truth.vehicle[pairs.true[clear.switches]], minlength=len(truth.names))
    for pair, before in zip(clear.switches, clear.before, strict=True):
        number = truth.vehicle[pairs.true[pair]]
        fields: dict[str, Any] = {
            "from": str(tracks.names[before]),
            "to": str(tracks.names[tracks.vehicle[pairs.track[pair]]]),
            "switches_of_vehicle": int(n_of[number]),
        }
        at = int(grid[truth.frame[pairs.true[pair]]])
        found.append(Case(case="identity switch", vehicle=str(truth.names[number]), at=at, weight=60.0, fields=fields))
    return found


def _missed(truth: Samples, pairs: Pairs, clear: Clear, grid: Ints) -> list[Case]:
    is_missed = np.ones(len(truth), dtype=bool)
    is_missed[pairs.true[clear.matched]] = False
    return _longest(truth, is_missed, grid, "not shown")


def _made_up(tracks: Samples, pairs: Pairs, clear: Clear, grid: Ints) -> list[Case]:
    is_false = np.ones(len(tracks), dtype=bool)
    is_false[pairs.track[clear.matched]] = False
    return _longest(tracks, is_false, grid, "shown where none is")


def _longest(samples: Samples, is_wrong: Bools, grid: Ints, case: str) -> list[Case]:
    counts = np.bincount(samples.vehicle[is_wrong], minlength=len(samples.names))
    found = list[Case]()
    for number in np.argsort(-counts, kind="stable")[:10]:
        if counts[number]:
            first = longest_run(samples.frame[is_wrong & (samples.vehicle == number)])
            seconds = float(counts[number]) / 2
            at = int(grid[first])
            fields = {"seconds": seconds}
            found.append(Case(case=case, vehicle=str(samples.names[number]), at=at, weight=seconds, fields=fields))
    return found
