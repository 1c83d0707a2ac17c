"""The ledger read from a log: lines in the order in which they were added, as known at a position."""

from twin.events.facts import LedgerClosed, SessionAmended, SessionClosed
from twin.projections.ledger import is_named, ledger

PRICE = {"tariff": "t@1", "currency": "EUR"}


async def test_a_correction_is_a_reversal_and_a_new_line_and_what_was_known_before_stays(story):
    closed = SessionClosed(
        session="s-1", vehicle="v1", portal="exit", entry_at=0, exit_at=60, confidence=1.0, amount_minor=120, **PRICE
    )
    amended = SessionAmended(
        session="s-1",
        vehicle="v1",
        version=3,
        status="closed",
        was="closed",
        reason="operator",
        entry_at=0,
        exit_at=90,
        amount_minor=180,
        **PRICE,
    )
    log = await story.log(story.events(story.opened(), closed, LedgerClosed(invoice="jan", until_at=80), amended))
    lines = [(one.kind, one.version, one.amount_minor, one.adjusts) for one in await ledger(log, "lot", 4)]
    assert lines == [("charge", 2, 120, None), ("reversal", 2, -120, "jan"), ("charge", 3, 180, None)]
    assert [one.kind for one in await ledger(log, "lot", 2)] == ["charge"]
    assert await ledger(log, "lot", 4, session="s-2") == []


async def test_a_name_is_known_from_the_first_fact_about_it_on(story):
    log = await story.log(story.events(story.opened("p1"), story.closed("p1"), story.opened("p2")))
    assert [await is_named(log, "lot", known_at, "p2") for known_at in (0, 2, 3)] == [False, False, True]
    assert not await is_named(log, "lot", 3, "p3")
