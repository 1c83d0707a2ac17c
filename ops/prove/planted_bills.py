"""Bugs that a good engineer could write, at least one against each billing invariant; ``INVARIANTS`` plants them in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from msgspec.structs import replace

import twin.fusion.emission as emission
import twin.rules.ledger as ledger
import twin.rules.sessions as sessions
import twin.rules.sessions_state as sessions_state
import twin.rules.stays as stays
import twin.rules.tariff as tariff
from twin.events.facts import StallChanged


class Bill(NamedTuple):
    """One bug.

    Attributes:
        name: with the number of the invariant that it breaks.
        owner, attribute: what is replaced by what ``make`` makes of it.
    """

    name: str
    what: str
    owner: Any
    attribute: str
    make: Callable[[Any], Any]


@contextmanager
def planted(name: str) -> Iterator[None]:
    """With this bug in the process's rules."""
    bug = next(one for one in BILLS if one.name == name)
    right = getattr(bug.owner, bug.attribute)
    setattr(bug.owner, bug.attribute, bug.make(right))
    try:
        yield
    finally:
        setattr(bug.owner, bug.attribute, right)


def _still_counts(_: Any) -> Any:
    return lambda self, gone: (set(), [])


def _overlaps_stay(_: Any) -> Any:
    return lambda self, piece: False


def _invented(new: Any) -> Any:
    def invented(self: Any, stay: Any, at: Any, reason: Any) -> Any:
        return new(self, stay if stay.entry_at is not None else replace(stay, entry_at=stay.exit_at), at, reason)

    return invented


def _untold(closed: Any) -> Any:
    def untold(self: Any, known: Any, stay: Any) -> Any:
        told = closed(self, known, stay)
        return told if stay.exit_at % 3 else []

    return untold


def _names_who_left(emit: Any) -> Any:
    def named(self: Any, at: Any, fact: Any, **known: Any) -> Any:
        if isinstance(fact, StallChanged) and fact.state == "free":
            fact = replace(fact, vehicle="who-stood-there")
        return emit(self, at, fact, **known)

    return named


def _told_time(closed: Any) -> Any:
    def received(self: Any, known: Any, stay: Any) -> Any:
        return closed(self, known, replace(stay, exit_at=max(stay.exit_at, known.said_at) + 1))

    return received


def _crossings_moved(merged: Any) -> Any:
    def moved(self: Any, event: Any, fact: Any) -> Any:
        vehicle, other = self.state.root(fact.vehicle), self.state.root(fact.merged)
        passages = dict(self.state.passages)
        if vehicle != other and other in passages:
            passages[vehicle] = tuple(sorted((*passages.get(vehicle, ()), *passages.pop(other)), key=lambda one: one.at))
            self.state = replace(self.state, passages=passages)
        return merged(self, event, fact)

    return moved


def _void_is_untold(told: Any) -> Any:
    def silent(self: Any, *known: Any, **were: Any) -> Any:
        return [one for one in told(self, *known, **were) if getattr(one[1], "status", "") != "void"]

    return silent


def _not_taken_back(charged: Any) -> Any:
    def kept(state: Any, event: Any, fact: Any) -> Any:
        after, lines = charged(state, event, fact)
        return after, tuple(one for one in lines if one.kind != "reversal")

    return kept


def _not_moved(transferred: Any) -> Any:
    def kept(state: Any, event: Any, fact: Any, lines: Any) -> Any:
        return transferred(state, event, fact, lines)[0], lines

    return kept


def _never_booked(_: Any) -> Any:
    return lambda self, payment: False


def _cent_shares(amount_minor: Any) -> Any:
    return lambda self, entry_at, exit_at: amount_minor(self, entry_at, exit_at) * 1.0


def _price_of_now(price: Any) -> Any:
    def repriced(self: Any, stay: Any) -> Any:
        newest = self._tariffs.held_at(stay.said_at)
        return price(self, replace(stay, tariff=None if newest is None else newest.name))

    return repriced


def _surely(_: Any) -> Any:
    return lambda passages: ()


def _no_adjustment(_: Any) -> Any:
    return lambda self, exit_at: None


BILLS = (
    Bill("1 superseded", "a crossing that another supersedes counts too", sessions.Sessions, "_taken_out", _still_counts),
    Bill("2 overlap", "stays of two names that are one stay two", stays._Making, "takes", _overlaps_stay),
    Bill("3 invented", "an orphan has its exit as its entry", sessions.Sessions, "_new", _invented),
    Bill("4 untold", "one exit in three is not told", sessions.Sessions, "_closed", _untold),
    Bill("5 stall", "a stall that is free names who stood in it", emission.Emission, "emit", _names_who_left),
    Bill("6 told time", "a stay ends when its end is told", sessions.Sessions, "_closed", _told_time),
    Bill("7 moved", "a merge gives crossings to the kept name for good", sessions.Sessions, "_merged", _crossings_moved),
    Bill("7 double", "a stay that a merge makes void is still charged", sessions.Sessions, "_told", _void_is_untold),
    Bill("8 not taken back", "the charge of an earlier version stays", ledger, "_charged", _not_taken_back),
    Bill("8 not moved", "what was paid is on the account of a void stay", ledger, "_transferred", _not_moved),
    Bill("9 twice", "a payment that is received twice counts twice", sessions_state.SessionsState, "is_booked", _never_booked),
    Bill("10 float", "amounts are fractions", tariff.StepTariff, "amount_minor", _cent_shares),
    Bill("10 now", "a stay costs what the newest tariff says", sessions.Sessions, "_price", _price_of_now),
    Bill("11 surely", "a crossing in doubt is taken for sure", stays, "_flags", _surely),
    Bill("12 adjustment", "lines of an invoiced stay do not say so", ledger.LedgerState, "invoice_of", _no_adjustment),
)
"""The number is the invariant's."""
