"""Stays that a person should look at, as of a moment: why, what both of their ends rest on, and what else may be true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from twin.events.codec import micros, rfc3339
from twin.events.envelope import RecordedFact
from twin.events.facts import SessionFlag
from twin.events.ids import SECOND, Micros, SiteId
from twin.log.port import Log
from twin.projections.evidence import BEFORE, TYPES, CrossingView, End, Evidence, NameView, facts_of
from twin.projections.moment import Moment
from twin.projections.sessions import SessionView, sessions, told_since, unpaired_names

MOST_CANDIDATES = 5
"""Other stays that are named beside one, the shortest in all first."""


class CandidateView(Struct, frozen=True, kw_only=True):
    """A stay whose ``end`` may be the one that is missing here; a merge of the two vehicles says so.

    Attributes:
        crossing: that end, as it was seen; None too where it is older than what is read of a queue that begins at a time.
        stay_s: how long the stay would have been.
    """

    session: str
    vehicle: str
    end: End
    crossing: CrossingView | None
    stay_s: float


class CaseView(Struct, frozen=True, kw_only=True):
    """A stay in doubt.

    Attributes:
        causes: why it is in doubt; "unverified" only where there is no other cause.
        is_decided: a person has decided about it.
        entry, exit: the crossings that it begins and ends with; None where there is none, or where a person said so.
        names: names that were found to be one, that it rests on.
    """

    session: SessionView
    causes: tuple[SessionFlag, ...]
    is_decided: bool
    entry: CrossingView | None
    exit: CrossingView | None
    names: tuple[NameView, ...]
    candidates: tuple[CandidateView, ...]


class Review(Struct, frozen=True, kw_only=True):
    """Cases, those that wait for a person first.

    Attributes:
        n_waiting, n_decided: of all cases since ``from``, whatever ``limit`` is.
    """

    position: str
    n_waiting: int
    n_decided: int
    cases: list[CaseView]


async def review(log: Log, site: SiteId, moment: Moment, *, since: Micros | None = None) -> list[CaseView]:
    """Cases at a moment: those that a person has not decided about first, each in the order in which stays began.

    Args:
        since: only of stays of which something was told at or after this valid time; None: of all.

    Raises:
        TooLarge: more facts since the oldest stay that is open or in doubt than can be read, or more stays than can be held.
    """
    names, told = None, None
    if since is not None:
        told = await told_since(log, site, moment, since - 1)
        names = told | await unpaired_names(log, site, moment)  # any of which may be the other end of one of those
    views = await sessions(log, site, moment, names=names)
    about = [one for one in views if told is None or one.session in told]
    unpaired = [one for one in views if one.status in ("open", "orphan")]
    wanted = [one for one in about if causes_of(one) or one.status == "open"]
    began = [micros(at) for one in wanted if (at := one.entry_at or one.exit_at) is not None]
    if not began:
        return cases(about, (), unpaired)
    oldest_at = min(began)
    instead = (
        f"decide about the stays that began about {rfc3339(oldest_at)}, the oldest that are open or in doubt, "
        "or ask for a moment (at=) soon after it, or for what was told since a later time (from=)"
    )
    facts = await facts_of(log, site, moment, after_at=oldest_at - BEFORE, types=TYPES, instead=instead)
    return cases(about, facts, unpaired)


def cases(views: Sequence[SessionView], facts: Iterable[RecordedFact], unpaired: Sequence[SessionView]) -> list[CaseView]:
    """Cases of these stays.

    Args:
        facts: the net ones of ``evidence.TYPES``, in order of time.
        unpaired: stays with one end, among which the missing ones are looked for.
    """
    known = Evidence(facts)
    found = [_case(view, known, unpaired) for view in views if causes_of(view)]
    return sorted(found, key=lambda one: one.is_decided)


def causes_of(view: SessionView) -> tuple[SessionFlag, ...]:
    """Why a stay asks for review; none: it does not.

    An orphan is one without an entry; "unverified" goes without saying where there is another cause.
    """
    if view.status == "void":
        return ()
    flags: set[SessionFlag] = {*view.flags}
    if view.status == "orphan":
        flags.add("no_entry")
    return tuple(sorted((flags - {"unverified"}) or flags))


def _case(view: SessionView, known: Evidence, unpaired: Sequence[SessionView]) -> CaseView:
    ends = known.ends(view.session, view.vehicle)
    is_final = view.status == "closed" and view.final_at is not None
    return CaseView(
        session=view,
        causes=causes_of(view),
        is_decided=is_final or view.session in known.decided,
        entry=ends.get("entry"),
        exit=ends.get("exit"),
        names=known.names(view.session),
        candidates=_candidates(view, known, unpaired),
    )


def _candidates(view: SessionView, known: Evidence, unpaired: Sequence[SessionView]) -> tuple[CandidateView, ...]:
    """For an orphan the stays that have no exit yet, for an open one the exits without an entry."""
    wanted = {"orphan": "open", "open": "orphan"}.get(view.status)
    found = [_candidate(view, one, known) for one in unpaired if one.status == wanted and one.vehicle != view.vehicle]
    return tuple(
        sorted((one for one in found if one.stay_s >= 0.0), key=lambda one: (one.stay_s, one.session))[:MOST_CANDIDATES]
    )


def _candidate(view: SessionView, other: SessionView, known: Evidence) -> CandidateView:
    began, ended = (other, view) if view.status == "orphan" else (view, other)
    assert began.entry_at is not None
    assert ended.exit_at is not None
    end: End = "entry" if other is began else "exit"
    return CandidateView(
        session=other.session,
        vehicle=other.vehicle,
        end=end,
        crossing=known.ends(other.session, other.vehicle).get(end),
        stay_s=(micros(ended.exit_at) - micros(began.entry_at)) / SECOND,
    )
