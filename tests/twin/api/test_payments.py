"""What gates and tills send, refused where it can be no answer to; and what is due of a stay."""

import json
import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from site_models.schema import Tariff
from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.facts import PaymentBooked, SessionClosed
from twin.events.observations import GateReported, LoopTripped, PaymentReceived

DOCS = Path(__file__).parents[3] / "ops" / "docs"
TARIFF = Tariff(id="h", version=1, currency="EUR", step_minutes=60, price_minor=200)
PAYMENTS, DUE, OBSERVATIONS = "/v1/sites/lot/payments", "/v1/sites/lot/sessions/p1/due", "/v1/sites/lot/observations"
PAID = {"payment": "till-7", "at": "2026-01-01T12:30:00Z", "session": "p1", "amount_minor": 200, "currency": "EUR"}


@pytest.fixture
def billing(serve, lot):
    """An application whose site has a tariff."""

    @asynccontextmanager
    async def serving(*events):
        async with serve(events, sites={"lot": replace(lot, tariffs=(TARIFF,))}) as running:
            yield running

    return serving


def sent(payload):
    key = DeviceKey(device="barrier-1", boot_epoch=1, sequence=1)
    return to_json(ObservationEvent(site="lot", key=key, occurred_at=1_767_268_800_000_000, payload=payload))


async def test_a_payment_is_stored_once_however_often_it_is_sent(billing):
    async with billing() as running:
        first, again = [(await running.http.post(PAYMENTS, json=PAID)).json() for _ in range(2)]
        assert (first["outcome"], again["outcome"]) == ("stored", "duplicate")
        (stored,) = await running.log.observations("lot")
        assert stored.event.payload == PaymentReceived(payment="till-7", session="p1", amount_minor=200, currency="EUR")
        other = await running.http.post(PAYMENTS, json={**PAID, "amount_minor": 100})
        assert (other.status_code, other.json()["type"]) == (409, "urn:twin:problem:content-conflict")
        assert "payment 'till-7' was sent before with other content, at position 1" in other.json()["detail"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -5}, "amount_minor"),
        ({"amount_minor": 2.5}, "amount_minor"),
        ({"currency": "CHF"}, "has EUR"),
        ({"currency": "euro"}, "currency"),
        ({"at": "noon"}, "'at': time 'noon' is not RFC 3339"),
        ({"session": ""}, "session"),
        ({"tip": 1}, "tip"),
    ],
)
async def test_money_that_cannot_be_for_a_stay_is_refused_where_it_comes_in(billing, change, said):
    async with billing() as running:
        answer = await running.http.post(PAYMENTS, json={**PAID, **change})
        assert answer.status_code == 422
        assert said in answer.text
        assert (await running.log.heads("lot")).observations == 0


@pytest.mark.parametrize(
    "payload",
    [
        LoopTripped(portal="exit"),
        LoopTripped(portal="entry", direction="in"),
        GateReported(portal="exit", state="held_open"),
        GateReported(portal="exit", state="open", by="attendant", author="ann", reason="paid in cash", asked="o1"),
        GateReported(portal="exit", state="closed", by="unreachable"),
        PaymentReceived(payment="p", session="p1", amount_minor=1, currency="EUR"),
    ],
)
async def test_what_gates_and_tills_send_is_stored(billing, payload):
    async with billing() as running:
        answer = await running.http.post(OBSERVATIONS, content=sent(payload))
        assert answer.json()["receipts"] == [{"outcome": "stored", "position": "1"}]


async def test_the_gates_pages_question_gets_the_receipt_of_the_page(billing):
    question, receipt = re.findall(r"```json\n(.*?)\n```", (DOCS / "gates.md").read_text(), re.DOTALL)
    async with billing() as running:
        body = question.replace("demo_lot", "lot")
        answer = await running.http.post(OBSERVATIONS, content=body, headers={"content-type": "application/x-ndjson"})
        assert answer.json() == json.loads(receipt)
        (stored,) = await running.log.observations("lot")
        assert stored.event.payload == LoopTripped(portal="exit", loop="exit-1")
        again = await running.http.post(OBSERVATIONS, content=f"[{body}]".replace("12:40", "12:41"))
        (refused,) = again.json()["receipts"]
        assert (refused["outcome"], refused["position"]) == ("refused", "1")
        assert "other content is stored under this device key" in refused["reason"]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (LoopTripped(portal="nowhere"), "'nowhere' is no boundary"),
        (LoopTripped(portal="exit", direction="in"), "passed 'out' only"),
        (GateReported(portal="nowhere", state="open"), "there are entry, exit"),
        (GateReported(portal="exit", state="open", by="attendant", author="ann"), "an 'author' and a 'reason'"),
        (GateReported(portal="exit", state="open", reason="paid"), "add 'by'"),
        (PaymentReceived(payment="p", session="p1", amount_minor=1, currency="CHF"), "'CHF' is that of no tariff"),
    ],
)
async def test_what_can_be_no_question_here_is_refused_with_the_reason(billing, payload, said):
    async with billing() as running:
        answer = await running.http.post(OBSERVATIONS, content=sent(payload))
        assert answer.status_code == 422
        assert said in answer.json()["detail"]


async def test_a_negative_amount_is_refused_in_any_form(billing):
    payload = PaymentReceived(payment="p", session="p1", amount_minor=1, currency="EUR")
    body = sent(payload).replace(b'"amount_minor":1', b'"amount_minor":-1')
    async with billing() as running:
        answer = await running.http.post(OBSERVATIONS, content=body)
        assert answer.status_code == 422
        assert "amount_minor" in answer.json()["detail"]


def booked(story, at, paid_minor, settled=True):
    payload = PaymentBooked(
        payment="till-7",
        session="p1",
        fate="credited",
        amount_minor=paid_minor,
        currency="EUR",
        paid_at=story.noon + at * 60_000_000,
        paid_minor=paid_minor,
        settled_at=story.noon + at * 60_000_000 if settled else None,
        observation="o",
    )
    return story.event(2, payload, at=at * 60)


async def due(running, minute):
    answer = await running.http.get(DUE, params={"at": f"2026-01-01T{12 + minute // 60}:{minute % 60:02}:00Z"})
    told = answer.json()
    return told["amount_minor"], told["paid_minor"], told["due_minor"], told["leave_until"]


async def test_what_is_due_grows_with_the_stay_and_rests_while_who_has_paid_may_leave(billing, story):
    opened = replace(story.opened("p1", at=0.0), tariff="h@1")
    async with billing(story.event(1, opened, at=0), booked(story, 50, 200)) as running:
        assert await due(running, 40) == (200, 0, 200, None)
        assert await due(running, 55) == (200, 200, 0, "2026-01-01T13:05:00.000000Z")
        assert await due(running, 64) == (200, 200, 0, "2026-01-01T13:05:00.000000Z")
        assert await due(running, 70) == (400, 200, 200, None)


async def test_the_billing_pages_due_is_what_is_due(billing, story):
    (told,) = re.findall(r"```json\n(.*?)\n```", (DOCS / "billing.md").read_text(), re.DOTALL)
    opened = replace(story.opened("p1", at=0.0), tariff="h@1")
    async with billing(story.event(1, opened, at=0), booked(story, 50, 200)) as running:
        assert (await running.http.get(DUE, params={"at": "2026-01-01T12:55:00Z"})).json() == json.loads(told)
        assert await due(running, 65) == (200, 200, 0, "2026-01-01T13:05:00.000000Z")
        assert await due(running, 66) == (400, 200, 200, None)


async def test_what_was_paid_and_the_balance_are_told_of_a_stay(billing, story):
    times = {"entry_at": story.noon, "exit_at": story.noon + 3_600_000_000}
    price = {"amount_minor": 300, "currency": "EUR", "tariff": "h@1", "paid_minor": 200}
    closed = SessionClosed(session="p1", vehicle="v1", portal="exit", confidence=0.8, **times, **price)
    facts = [story.event(1, story.opened("p1", at=0.0), at=0), booked(story, 50, 200), story.event(3, closed, at=3600)]
    async with billing(*facts) as running:
        (view,) = (await running.http.get("/v1/sites/lot/sessions")).json()["sessions"]
        assert (view["amount_minor"], view["paid_minor"], view["balance_minor"]) == (300, 200, 100)
        assert await due(running, 90) == (300, 200, 100, None)


async def test_what_is_due_of_no_stay_or_at_no_time_is_refused(billing):
    async with billing() as running:
        assert (await running.http.get(DUE)).status_code == 422
        assert (await running.http.get(DUE, params={"at": "2026-01-01T12:00:00Z"})).status_code == 404
