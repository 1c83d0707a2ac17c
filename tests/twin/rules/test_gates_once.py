"""A gate's answer is said once: neither late data nor a request to fuse again changes it, takes it back or repeats it."""

import asyncio
import random

import pytest
from msgspec.structs import replace

from site_models.schema import Tariff
from twin.evaluation.proofs import part
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.facts import GateDecided, PaymentBooked
from twin.events.ids import SECOND
from twin.events.observations import ClockTicked, LoopTripped, PaymentReceived, RefuseRequested
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit
from twin.refusal import stepped
from twin.rules.fold import Fold
from twin.service import check

SECONDS = 40
REFUSE = RefuseRequested(from_at=0, author="ann", reason="a camera was moved")
DAY, G9 = part("site_day"), part("g9")
SITE = replace(DAY.PROOF_SITE, tariffs=(Tariff(id="t", version=1, currency="EUR", step_minutes=1, price_minor=10),))
BOUNDARIES = sorted(one.id for one in SITE.portals if one.role == "boundary")
END_AT = DAY.START_AT + (SECONDS + 90) * SECOND


def asked(number, at):
    portal = BOUNDARIES[number % len(BOUNDARIES)]
    direction = "out" if number % 3 else "in"
    key = DeviceKey(device="loops", boot_epoch=1, sequence=number + 1)
    payload = LoopTripped(portal=portal, direction=direction)
    return ObservationEvent(site=SITE.name, key=key, occurred_at=at, payload=payload)


def observations():
    """A site-day out of order inside the horizon, with a question every second in the order of its own time."""
    events = [event for event in DAY.site_day(3, SECONDS) if not isinstance(event.payload, ClockTicked)]
    arrivals = G9.permuted(events, random.Random(5))
    questions = [(at, asked(n, at)) for n, at in enumerate(range(DAY.START_AT, END_AT, SECOND))]
    return [*G9.clocked(sorted([*arrivals, *questions], key=lambda one: one[0]), END_AT)]


def told(position, payload):
    key = DeviceKey(device="desk", boot_epoch=1, sequence=position)
    return ObservationEvent(site=SITE.name, key=key, occurred_at=END_AT, payload=payload)


@pytest.fixture(scope="module")
def folded():
    """The facts of a log at the end of which somebody pays, and asks that all be fused again; and a check of them."""
    return asyncio.run(_folded())


async def _folded():
    log, keys, fold = MemoryLog(), MemoryKeyRing(), Fold(SITE)
    token = await log.acquire(SITE.name, "w")
    state, cursor, facts = fold.initial(), 0, []
    for events in (observations(), None, [told(2, REFUSE), asked(500, END_AT)]):
        paid = PaymentReceived(payment="p1", session=next(iter(state.sessions.stays), ""), amount_minor=10, currency="EUR")
        await log.append(events or [told(1, paid)])
        for recorded in await log.observations(SITE.name, after=cursor, limit=100_000):
            state, made = await stepped(log, keys, fold, state, recorded)
            await log.commit(FoldCommit(token=token, after=cursor, cursor=recorded.position, facts=made))
            facts, cursor = [*facts, *made], recorded.position
    return facts, await check(log, keys, fold)


def test_each_question_has_one_answer_that_nothing_supersedes(folded):
    facts, _ = folded
    decided = [fact for fact in facts if isinstance(fact.payload, GateDecided)]
    assert len(decided) == len({fact.payload.asked for fact in decided}) == SECONDS + 90 + 1
    superseded = {one for fact in facts for one in fact.supersedes}
    assert superseded, "late data corrected something"
    assert not superseded & {fact.id for fact in decided}
    assert len({fact.payload.decision for fact in decided}) == len(decided)
    assert len([fact for fact in facts if isinstance(fact.payload, PaymentBooked)]) == 1


def test_answers_differ_with_what_was_known(folded):
    facts, _ = folded
    answers = {fact.payload.answer for fact in facts if isinstance(fact.payload, GateDecided)}
    reasons = {reason for fact in facts if isinstance(fact.payload, GateDecided) for reason in fact.payload.reasons}
    assert len(answers) >= 2
    assert len(reasons) >= 3


def test_the_same_log_gives_the_same_answers(folded):
    facts, report = folded
    assert report.facts == len(facts)
