"""``twin eval review``: how many stays a person has to look at, why, and what their looking is worth in money.

A stay asks for review if the twin says that it is in doubt (its newest fact has flags, or it is an orphan). Whoever reviews is
taken to know the truth: the stay that a flagged session stands for is put right, one of no stay is made void, and an orphan's
stay is found by its exit. What is wrong without a flag stays wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twin.errors import BadInput, CodecError
from twin.evaluation.figures import Figure, Share
from twin.evaluation.grid import Bools, Ints
from twin.evaluation.run_tables import NEVER
from twin.evaluation.scored import Case, Scored
from twin.evaluation.session_scores import SAME_US, Stays, is_exact, money, stays_of
from twin.events.codec import from_json
from twin.events.envelope import FactEvent
from twin.events.facts import SessionAmended, SessionClosed, SessionOpened, SessionOrphaned
from twin.events.ids import SECOND

CAUSES = ("no_entry", "no_exit", "camera_gap", "ambiguous_identity", "unverified")
"""Why a stay asks for review; a stay may have several. ``unverified`` is counted where there is no other."""


@dataclass(frozen=True, kw_only=True)
class _Review:
    """Rows of the stays and sessions that a review puts right."""

    visits: Ints
    sessions: Ints


def review(run: Path, site: str | None = None) -> Scored:
    """What is asked to be reviewed, and what is wrong before and after.

    Args:
        site: folder or name, for what stays cost where ``visits`` does not say; None: as the run says.

    Raises:
        BadInput: the run has no facts, a table is absent or faulty, or there is no stay to score.
    """
    causes = _causes(run / "facts.jsonl")
    stays = stays_of(run, site)
    named = [causes.get(name, frozenset()) for name in stays.told["session"].tolist()]
    was_right, was_inside = _session_is_right(stays), _was_inside(stays)
    is_flagged = np.array([bool(one) for one in named], dtype=bool)
    figures = _asked(named, is_flagged, was_right, was_inside) | _put_right_figures(stays, is_flagged)
    return Scored(n=int((~was_inside).sum()), figures=figures, cases=_cases(stays, named, was_right, was_inside))


def _asked(named: list[frozenset[str]], is_flagged: Bools, was_right: Bools, was_inside: Bools) -> dict[str, Figure]:
    """How many sessions are in doubt, why, and whether they should be."""
    n = int((~was_inside).sum())
    is_asked, is_wrong = is_flagged & ~was_inside, ~was_right & ~was_inside
    figures: dict[str, Figure] = {"review_share": Share(n_hits=int(is_asked.sum()), n=n)}
    for cause in CAUSES:
        has_cause = np.array([cause in one for one in named], dtype=bool)
        figures[f"review_{cause}_share"] = Share(n_hits=int((has_cause & is_asked).sum()), n=n)
    figures["review_needed_share"] = Share(n_hits=int((is_asked & is_wrong).sum()), n=int(is_asked.sum()))
    figures["wrong_unreviewed_share"] = Share(n_hits=int((~is_flagged & is_wrong).sum()), n=int(is_wrong.sum()))
    return figures


def _put_right_figures(stays: Stays, is_flagged: Bools) -> dict[str, Figure]:
    """Stays and money before and after the review."""
    is_right, put_right = _is_right(stays), _put_right(stays, is_flagged)
    after = is_right.copy()
    after[put_right.visits] = True
    return {
        "exact_stay": Share(n_hits=int(is_right.sum()), n=len(is_right)),
        "exact_stay_reviewed": Share(n_hits=int(after.sum()), n=len(is_right)),
        "money_error_minor": money(stays),
        "money_error_reviewed_minor": money(stays, put_right.visits, put_right.sessions),
    }


def _causes(path: Path) -> Mapping[str, frozenset[str]]:
    """Why each session asks for review, as its newest fact says; sessions that do not are left out."""
    newest = dict[str, tuple[int, frozenset[str]]]()
    for told in _stay_facts(path):
        if isinstance(told, SessionOrphaned):
            version, flags = 1, frozenset({"no_entry"})
        else:
            version = 1 if isinstance(told, SessionOpened) else told.version
            flags = frozenset(str(flag) for flag in told.flags)
            if isinstance(told, SessionAmended) and told.status == "orphan":
                flags |= {"no_entry"}
        if version >= newest.get(told.session, (0, flags))[0]:
            newest[told.session] = version, flags if flags == {"unverified"} else flags - {"unverified"}
    return {session: flags for session, (_, flags) in newest.items() if flags}


def _stay_facts(path: Path) -> Iterable[SessionOpened | SessionClosed | SessionAmended | SessionOrphaned]:
    if not path.exists():
        raise BadInput(f"there is no '{path}', and only facts say which stays are in doubt; twin fuse --out writes it")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if b'"session.' not in line:
                continue
            try:
                event = from_json(line)
            except CodecError as wrong:
                raise BadInput(f"{path}:{number}: {wrong}; write the run again") from None
            if isinstance(event, FactEvent) and isinstance(
                event.payload, SessionOpened | SessionClosed | SessionAmended | SessionOrphaned
            ):
                yield event.payload


def _is_right(stays: Stays) -> Bools:
    """(V,) whether a session has both ends of the stay right."""
    right = np.zeros(len(stays.visits["vehicle"]), dtype=bool)
    right[stays.match.visit] = is_exact(stays.visits, stays.told, stays.match)
    return right


def _session_is_right(stays: Stays) -> Bools:
    """(S,) whether the session has both ends of a stay right."""
    right = np.zeros(len(stays.told["session"]), dtype=bool)
    right[stays.match.session] = is_exact(stays.visits, stays.told, stays.match)
    return right


def _was_inside(stays: Stays) -> Bools:
    """(S,) whether the session is of somebody who entered before the period: in doubt because the period begins there."""
    found = np.zeros(len(stays.told["session"]), dtype=bool)
    found[stays.match.session[stays.visits["entry_t"][stays.match.visit] == NEVER]] = True
    return found


def _put_right(stays: Stays, is_flagged: Bools) -> _Review:
    visits = set(stays.match.visit[is_flagged[stays.match.session]].tolist())
    is_right, true_exit = _is_right(stays), stays.visits["exit_t"]
    for orphan in np.flatnonzero(is_flagged & (stays.told["entry_t"] == NEVER)):
        apart = np.abs(true_exit.astype(float) - float(stays.told["exit_t"][orphan]))
        apart[is_right | (true_exit == NEVER) | np.isin(np.arange(len(apart)), sorted(visits))] = np.inf
        if len(apart) and apart.min() <= SAME_US:
            visits.add(int(np.argmin(apart)))
    return _Review(visits=np.array(sorted(visits), dtype=np.int64), sessions=np.flatnonzero(is_flagged))


def _cases(stays: Stays, named: list[frozenset[str]], was_right: Bools, was_inside: Bools) -> list[Case]:
    """What is wrong and nobody is asked about, then what is right and asked about."""
    found = list[Case]()
    for row, causes in enumerate(named):
        if bool(causes) != bool(was_right[row]) or was_inside[row]:
            continue
        entry_t, exit_t = int(stays.told["entry_t"][row]), int(stays.told["exit_t"][row])
        at = entry_t if entry_t != NEVER else exit_t
        seconds = ((stays.end_at if exit_t == NEVER else exit_t) - at) / SECOND
        case, weight = ("asked for in vain", 1.0) if causes else ("wrong, and not asked for", 10.0 + seconds)
        fields: dict[str, Any] = {"session": str(stays.told["session"][row]), "causes": sorted(causes)}
        found.append(Case(case=case, vehicle=str(stays.told["vehicle"][row]), at=at, weight=weight, fields=fields))
    return found
