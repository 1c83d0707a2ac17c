"""Decisions through the whole fold: answered in facts, kept in its state, and never an exception."""

import pytest
from msgspec.structs import replace

from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, Recorded
from twin.events.facts import DecisionRefused, LedgerClosed, PortalCrossed, SessionAmended
from twin.events.observations import InvoiceClosed, OperatorDecided
from twin.rules.fold import Fold
from twin.rules.sessions import Sessions

T0 = 1_767_268_800_000_000


def given(position, payload):
    key = DeviceKey(device="desk", boot_epoch=1, sequence=position)
    event = ObservationEvent(site="lot", key=key, occurred_at=T0 + position, payload=payload)
    return Recorded(position=position, recorded_at=position, event=event)


def decided(**what):
    return OperatorDecided(author="ann", reason="seen on the recording", **what)


@pytest.fixture
def begun(lot):
    """A fold, and its state after two vehicles came in."""
    fold = Fold(lot)
    state = fold.initial()
    rules = Sessions(lot, state.sessions)
    gate = next(portal.id for portal in lot.portals if portal.role == "boundary")
    for cause, vehicle in enumerate(("a", "b"), 1):
        payload = PortalCrossed(vehicle=vehicle, portal=gate, direction="in", position_m=(0.0, 0.0), speed_mps=3.0)
        rules.react(FactEvent(site="lot", fold_version="2", cause=cause, ordinal=0, occurred_at=T0 - cause, payload=payload))
    return fold, replace(state, sessions=rules.finished())


def test_a_decision_is_answered_when_it_is_folded_and_kept_in_the_state(begun):
    fold, state = begun
    after, (merged, *amended) = fold.step(state, given(3, decided(decision="merge", vehicle="a", other="b")), None)
    assert (merged.payload.vehicle, merged.payload.merged) == ("a", "b")
    assert sorted(one.payload.status for one in amended) == ["open", "void"]
    again = fold.unpack(fold.pack(after))
    assert again == after
    back, (split, *restored) = fold.step(again, given(4, decided(decision="split", vehicle="a", other="b")), None)
    assert split.payload.split == "b"
    assert all(isinstance(one.payload, SessionAmended) and one.payload.reason == "identities_split" for one in restored)
    assert len(back.sessions.open) == 2
    assert len(state.sessions.open) == 2, "the given state is left as it was"
    assert state.sessions.kept == {}


def test_what_cannot_be_done_is_a_fact(begun):
    fold, state = begun
    after, (refused,) = fold.step(state, given(3, decided(decision="waive", session="nobody")), None)
    assert isinstance(refused.payload, DecisionRefused)
    assert refused.payload.reason == "unknown_session"
    assert after.sessions == state.sessions


def test_a_closed_invoice_is_told_on(begun):
    fold, state = begun
    _, (closed,) = fold.step(state, given(3, InvoiceClosed(invoice="jan", until_at=T0)), None)
    assert closed.payload == LedgerClosed(invoice="jan", until_at=T0)
