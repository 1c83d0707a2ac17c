"""``twin eval sessions``: is every stay billed once, from when to when it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from twin.errors import BadInput
from twin.evaluation.figures import Figure, Quantile, Share, Sums
from twin.evaluation.grid import Bools, Floats, Ints, places_at
from twin.evaluation.run_site import dues_of
from twin.evaluation.run_tables import NEVER, Table, has_table, read_table
from twin.evaluation.scored import Case, Scored
from twin.events.ids import SECOND

RIGHT_US = SECOND
"""An end of a stay is right within this."""
SAME_US = 10 * SECOND
"""A session can only stand for a stay that has an end this near to one of its own."""
CONFIDENCES = (0.0, 0.5, 0.7, 0.9, 0.97, 1.0)
"""Bounds of the bins in which stated confidences are compared with what was right; the last one is of more than 0.97."""
SAME_M = 3.0
"""How near the session's track is to the vehicle at the entry, if both are the same vehicle."""

_MANY = 86_400.0
_NONE: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Match:
    """Which session stands for which stay: row numbers of both tables; stays without an entry are matched with orphans."""

    visit: Ints
    session: Ints


@dataclass(frozen=True, kw_only=True)
class Stays:
    """True stays that begin or end in the period, what was told, and which stands for which.

    Attributes:
        end_at: the end of the period: where an open stay is counted to.
        dues: (V,) what each true stay costs, ``NEVER`` where that is not known; None: of none is.
    """

    visits: Table
    told: Table
    match: Match
    end_at: int
    dues: Ints | None


def sessions(run: Path, site: str | None = None) -> Scored:
    """Sessions against the true stays.

    Args:
        site: folder or name, for what stays cost where ``visits`` does not say; None: as the run says.

    Raises:
        BadInput: a table is absent or faulty, there is no stay to score, or the two lie in different periods.
    """
    stays = stays_of(run, site)
    visits, told, match, end_at = stays.visits, stays.told, stays.match, stays.end_at
    figures = _figures(stays)
    return Scored(n=len(visits["vehicle"]), figures=figures, cases=_cases(visits, told, match, end_at))


def stays_of(run: Path, site: str | None = None) -> Stays:
    """Read and match; raises as ``sessions``."""
    visits, told = read_table(run, "visits"), read_table(run, "sessions")
    counts = (visits["entry_t"] != NEVER) | (visits["exit_t"] != NEVER)
    visits = {name: values[counts] for name, values in visits.items()}
    if not counts.any():
        raise BadInput(f"run '{run}' has no stay that begins or ends in its period, so there is nothing to score")
    end_at = _end(run, visits, told)
    match = matched(visits, told, _same_place(run, visits, told))
    return Stays(visits=visits, told=told, match=match, end_at=end_at, dues=dues_of(run, visits, site))


def matched(visits: Table, told: Table, is_same: Bools) -> Match:
    """The one-to-one choice that agrees best: at the entry first, then at the exit.

    Args:
        is_same: (visits, sessions) whether the session's track was where the vehicle was at its entry.
    """
    entry_us, exit_us = (_apart(visits[name], told[name]) for name in ("entry_t", "exit_t"))
    allowed = (entry_us <= SAME_US) | (exit_us <= SAME_US)
    allowed &= (visits["entry_t"] == NEVER)[:, None] == (told["entry_t"] == NEVER)[None, :]
    both_open = (visits["exit_t"] == NEVER)[:, None] & (told["exit_t"] == NEVER)[None, :]
    gain = np.maximum(0.0, 1.0 - entry_us / SAME_US) + 0.9 * np.where(both_open, 1.0, np.maximum(0.0, 1.0 - exit_us / SAME_US))
    gain = np.where(allowed, 1e-3 + gain + is_same, 0.0)
    visit, session = linear_sum_assignment(gain, maximize=True)
    real = gain[visit, session] > 0
    return Match(visit=visit[real], session=session[real])


def _apart(true: Ints, told: Ints) -> Floats:
    """(visits, sessions) µs between two ends; infinite where one is open."""
    apart = np.abs(true[:, None].astype(float) - told[None, :].astype(float))
    apart[(true == NEVER)[:, None] | (told == NEVER)[None, :]] = np.inf
    return apart


def _same_place(run: Path, visits: Table, told: Table) -> Bools:
    """(visits, sessions) whether the session's track was where the vehicle was, within ``SAME_M``, as the stay began."""
    same = np.zeros((len(visits["vehicle"]), len(told["session"])), dtype=bool)
    if not (has_table(run, "truth") and has_table(run, "tracks")):
        return same
    truth, tracks = read_table(run, "truth"), read_table(run, "tracks")
    near = _apart(visits["entry_t"], told["entry_t"]) <= SAME_US
    for visit, session in np.argwhere(near):
        at = np.array([max(visits["entry_t"][visit], told["entry_t"][session])]) + SECOND
        apart_m = places_at(truth, str(visits["vehicle"][visit]), at) - places_at(tracks, str(told["vehicle"][session]), at)
        same[visit, session] = bool(np.hypot(*apart_m[0]) <= SAME_M)
    return same


def _end(run: Path, visits: Table, told: Table) -> int:
    """The end of the period: where an open stay is counted to."""
    times = [visits["entry_t"], visits["exit_t"], told["entry_t"], told["exit_t"]]
    if has_table(run, "truth"):
        times.append(read_table(run, "truth")["t"])
    last_true = max(int(one.max(initial=NEVER)) for one in (*times[:2], *times[4:]))
    first_told = min(int(one[one != NEVER].min(initial=np.iinfo(np.int64).max)) for one in times[2:4])
    if len(told["session"]) and first_told > last_true:
        raise BadInput(
            f"run '{run}' has sessions from {first_told}, but its truth ends at {last_true}; "
            "both are microseconds UTC of the same period"
        )
    return last_true


def _figures(stays: Stays) -> dict[str, Figure]:
    visits, told, match, end_at = stays.visits, stays.told, stays.match, stays.end_at
    has_entry, is_stay = visits["entry_t"] != NEVER, told["entry_t"] != NEVER
    n_found = int(has_entry[match.visit].sum())
    entry_s, exit_s = _errors(visits, told, match, end_at)
    known = np.isfinite(entry_s)
    return {
        "session_precision": Share(n_hits=n_found, n=int(is_stay.sum())),
        "session_recall": Share(n_hits=n_found, n=int(has_entry.sum())),
        "entry_error_p95_s": _p95(entry_s[known]),
        "exit_error_p95_s": _p95(exit_s),
        "exact_stay": Share(n_hits=int(is_exact(visits, told, match).sum()), n=len(has_entry)),
        "money_error_minor": money(stays),
        **_reliability(visits, told, match),
    }


def _reliability(visits: Table, told: Table, match: Match) -> dict[str, Figure]:
    """What share of the sessions of a stated confidence is right at both ends, and how far off confidences are in the mean.

    Orphans state none. ``ece``: the expected calibration error, of Naeini, Cooper & Hauskrecht, "Obtaining Well Calibrated
    Probabilities Using Bayesian Binning" (AAAI 2015), over the bins of ``CONFIDENCES``.
    """
    right = np.zeros(len(told["session"]), dtype=bool)
    right[match.session] = is_exact(visits, told, match)
    states = told["entry_t"] != NEVER
    right, stated = right[states], told["confidence"][states].astype(float)
    bins = np.searchsorted(CONFIDENCES[1:-1], stated, side="right")
    n_bins = len(CONFIDENCES) - 1
    parts = np.zeros((len(stated), n_bins))
    parts[np.arange(len(stated)), bins] = stated - right
    parts = np.column_stack([parts, np.ones(len(stated))])
    figures: dict[str, Figure] = {"ece": Sums(parts=parts, figure=_calibration_error, n=len(stated))}
    for number in range(n_bins):
        name = f"right_at_{100 * CONFIDENCES[number]:.0f}_to_{100 * CONFIDENCES[number + 1]:.0f}"
        figures[name] = Share(n_hits=int(right[bins == number].sum()), n=int((bins == number).sum()))
    return figures


def _calibration_error(sums: Floats) -> float:
    return float(np.abs(sums[:-1]).sum() / sums[-1]) if sums[-1] else float("nan")


def _p95(errors_s: Floats) -> Quantile:
    return Quantile(values=errors_s, unit=np.arange(len(errors_s)), q=0.95)


def _errors(visits: Table, told: Table, match: Match, end_at: int) -> tuple[Floats, Floats]:
    """Seconds that the matched sessions' ends are off; an open end lies at the end of the period, an entry before it is NaN."""
    entry, entry_told = visits["entry_t"][match.visit], told["entry_t"][match.session]
    ends = [np.where(one == NEVER, end_at, one) for one in (visits["exit_t"][match.visit], told["exit_t"][match.session])]
    entry_s = np.where(entry == NEVER, np.nan, np.abs(entry - entry_told) / SECOND)
    return entry_s, np.abs(ends[0] - ends[1]) / SECOND


def is_exact(visits: Table, told: Table, match: Match) -> Bools:
    """(matches,) both ends within 1 s, or open in both."""
    found = np.ones(len(match.visit), dtype=bool)
    for name in ("entry_t", "exit_t"):
        true, said = visits[name][match.visit], told[name][match.session]
        found &= np.where((true == NEVER) | (said == NEVER), true == said, np.abs(true - said) <= RIGHT_US)
    return found


def money(stays: Stays, right_visits: Ints = _NONE, right_sessions: Ints = _NONE) -> Figure:
    """Mean wrong amount a true stay, with what is billed for stays that were none; nothing where amounts are not known.

    Args:
        right_visits, right_sessions: rows that somebody put right: those stays are billed as they should be, and a session
            of no stay is not billed.
    """
    visits, match, billed = stays.visits, stays.match, stays.told["amount_minor"]
    if stays.dues is None or not (billed != NEVER).any():
        return Sums(parts=np.empty((0, 2)), figure=_mean, n=0)
    due = np.where(stays.dues == NEVER, 0, stays.dues).astype(float)
    amounts = np.where(billed == NEVER, 0, billed).astype(float)
    paid = np.zeros(len(due))
    paid[match.visit] = amounts[match.session]
    paid[right_visits] = due[right_visits]
    amounts[right_sessions] = 0.0
    extra = np.delete(amounts, match.session)
    parts = np.vstack(
        [np.column_stack([np.abs(paid - due), np.ones(len(due))]), np.column_stack([extra, np.zeros(len(extra))])]
    )
    return Sums(parts=parts, figure=_mean, n=len(visits["vehicle"]))


def _mean(sums: Floats) -> float:
    return float(sums[0] / sums[1]) if sums[1] else float("nan")


def _cases(visits: Table, told: Table, match: Match, end_at: int) -> list[Case]:
    entry_s, exit_s = _errors(visits, told, match, end_at)
    exact, found = is_exact(visits, told, match), list[Case]()
    for number, (visit, session) in enumerate(zip(match.visit, match.session, strict=True)):
        if exact[number]:
            continue
        is_entry = entry_s[number] > max(exit_s[number], RIGHT_US / SECOND)
        case, error_s = ("wrong entry", entry_s[number]) if is_entry else ("wrong exit", exit_s[number])
        fields = {"error_s": round(float(error_s), 3), "session": str(told["session"][session])}
        at = _first_known(*((visits[n][visit], told[n][session]) for n in (("entry_t", "exit_t")[:: 1 if is_entry else -1])))
        found.append(_case(case, visits["vehicle"][visit], at, float(error_s), fields))
    return [*found, *_missed(visits, match, end_at), *_extra(visits, told, match, end_at)]


def _missed(visits: Table, match: Match, end_at: int) -> list[Case]:
    found = list[Case]()
    for visit in np.setdiff1d(np.arange(len(visits["vehicle"])), match.visit):
        entry_t, exit_t = int(visits["entry_t"][visit]), int(visits["exit_t"][visit])
        case = "missed visit" if entry_t != NEVER else "missed exit of one who was there at the start"
        at = entry_t if entry_t != NEVER else exit_t
        seconds = ((end_at if exit_t == NEVER else exit_t) - at) / SECOND
        found.append(_case(case, visits["vehicle"][visit], at, _MANY + seconds, {"stay_s": round(seconds, 3)}))
    return found


def _extra(visits: Table, told: Table, match: Match, end_at: int) -> list[Case]:
    found = list[Case]()
    for session in np.setdiff1d(np.arange(len(told["session"])), match.session):
        entry_t, exit_t = int(told["entry_t"][session]), int(told["exit_t"][session])
        fields: dict[str, Any] = {"session": str(told["session"][session])}
        if entry_t == NEVER:
            found.append(_case("orphan of no visit", told["vehicle"][session], exit_t, 60.0, fields))
            continue
        near = np.flatnonzero(np.abs(visits["entry_t"] - entry_t) <= SAME_US)
        case = "double session" if len(near) else "session of no visit"
        fields |= {"true_vehicles_near": [str(name) for name in visits["vehicle"][near][:5]]}
        seconds = ((end_at if exit_t == NEVER else exit_t) - entry_t) / SECOND
        found.append(_case(case, told["vehicle"][session], entry_t, _MANY + seconds, fields))
    return found


def _case(case: str, vehicle: Any, at: int, weight: float, fields: dict[str, Any]) -> Case:
    return Case(case=case, vehicle=str(vehicle), at=int(at), weight=weight, fields=fields)


def _first_known(*pairs: tuple[Any, Any]) -> int:
    return next(int(one) for pair in pairs for one in pair if one != NEVER)
