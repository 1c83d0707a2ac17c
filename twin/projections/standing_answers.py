"""The shapes of answers about how far subscriptions and webhooks are. They import nothing that is heavy."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class StandingView(Struct, frozen=True, kw_only=True):
    """What subscriptions and webhooks have in common.

    Attributes:
        owner: the name of the key that made it; empty where access was open.
        acknowledged_to: every fact that fits, up to here, is done.
        lag: positions of the log after ``acknowledged_to``, whether or not they fit.
        lag_s: for how long the oldest fact waits that fits and is not done, seconds since it was recorded; 0: none does;
            null: for longer than what is kept, as retention took facts that were not read yet.
        n_blocked: of those waiting, how many stand behind one that is leased, failed or parked.
        is_full: so many are blocked that nothing more is read.
        holders: consumers that said their names and hold facts now.
        next_try_at: when a fact that failed is delivered again next.
        replays_to: positions up to this one are delivered again at the moment.
    """

    name: str
    types: tuple[str, ...]
    zones: tuple[str, ...]
    subjects: tuple[str, ...]
    owner: str
    created_at: str
    acknowledged_to: str
    head: str
    lag: int
    lag_s: float | None
    n_waiting: int
    n_blocked: int
    n_leased: int
    n_parked: int
    n_acknowledged: int
    n_discarded: int
    is_full: bool
    holders: list[str]
    next_try_at: str | None
    replays_to: str | None


class ParkedView(Struct, frozen=True, kw_only=True):
    """A fact that was given up on for now; what comes after it in its order waits.

    Attributes:
        n_behind: how many wait behind it.
        type, subject, at, recorded_at: of the fact; null where retention took it.
    """

    position: str
    order: str
    n_attempts: int
    reason: str
    n_behind: int
    type: str | None
    subject: str | None
    at: str | None
    recorded_at: str | None


class SubscriptionStanding(StandingView, frozen=True, kw_only=True):
    """A subscription and how far it is.

    Attributes:
        state: of a "paused" one nothing is handed out, since ``paused_at``, until a person resumes it.
    """

    state: Literal["active", "paused"]
    paused_at: str | None
    most_attempts: int


class SubscriptionView(SubscriptionStanding, frozen=True, kw_only=True):
    """The same with what it has parked."""

    parked: list[ParkedView]


class SubscriptionList(Struct, frozen=True, kw_only=True):
    """A site's subscriptions: all names, and how far each is but for those of webhooks, which are told with them."""

    subscriptions: list[str]
    standings: list[SubscriptionStanding]
