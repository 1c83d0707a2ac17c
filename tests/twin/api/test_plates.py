"""Plates that people set: sealed in the log, read one by one, gone when erased; and money that names one."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from site_models.schema import Tariff
from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import PortalCrossed, SessionAmended
from twin.events.observations import OperatorDecided, Personal, PlateRead, Sealed
from twin.rules.fold import Fold
from twin.rules.sessions import Sessions, SessionsState
from twin.service import FusionWorker

TARIFF = Tariff(id="h", version=1, currency="EUR", step_minutes=60, price_minor=200)
DECISIONS, PAYMENTS = "/v1/sites/lot/decisions", "/v1/sites/lot/payments"
SET = {"decision": "set_plate", "author": "ann", "reason": "read on the recording", "at": "2026-01-01T12:05:00Z"}
PAID = {"payment": "till-7", "at": "2026-01-01T12:30:00Z", "plate": "b xy123", "amount_minor": 200, "currency": "EUR"}
PLATE = "B-XY 123"


class Entered(Fold):
    """A fold that begins with two vehicles inside."""

    def initial(self):
        rules = Sessions(self.site, SessionsState())
        for cause, vehicle in enumerate(("v1", "v2"), 1):
            payload = PortalCrossed(vehicle=vehicle, portal="entry", direction="in", position_m=(0.0, 0.0), speed_mps=3.0)
            at = 1_767_268_800_000_000 + cause
            rules.react(FactEvent(site="lot", fold_version="2", cause=cause, ordinal=0, occurred_at=at, payload=payload))
        return replace(super().initial(), sessions=rules.finished())


@pytest.fixture
def desk(serve, lot):
    """An application whose log is folded, and the sessions of the two vehicles inside."""

    @asynccontextmanager
    async def serving():
        site = replace(lot, tariffs=(TARIFF,))
        async with serve() as running:
            services = running.app.state.services
            services.sites["lot"] = site
            fold = Entered(site)
            worker = FusionWorker(services.log, running.keys, fold, worker_id="w", clock_ticks=False)
            working = asyncio.create_task(worker.run())
            try:
                yield running, list(fold.initial().sessions.stays)
            finally:
                worker.stop()
                await working

    return serving


async def folded(running):
    async with asyncio.timeout(10):
        while (heads := await running.log.heads("lot")).cursor < heads.observations:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.005)


async def set_plate(running, session, plate=PLATE, number=1):
    answer = await running.http.post(DECISIONS, json={**SET, "id": f"desk-{number}", "session": session, "plate": plate})
    assert answer.json()["outcome"] == "stored"
    await folded(running)


async def test_a_plate_is_sealed_in_the_log_and_read_again_until_it_is_erased(desk):
    async with desk() as (running, (session, _)):
        await set_plate(running, session)
        (stored,) = await running.log.observations("lot")
        facts = await running.log.facts("lot")
        assert not [one for one in (stored, *facts) if b"XY 123" in to_json(one)]  # shorter ones are in ciphertext by chance
        (amended,) = [one.event.payload for one in facts if isinstance(one.event.payload, SessionAmended)]
        assert (amended.plate, amended.status, amended.reason) == (stored.event.id, "open", "operator")
        url = f"/v1/sites/lot/sessions/{session}/plate"
        answer = await running.http.get(url)
        assert (answer.json()["plate"], answer.json()["author"]) == (PLATE, "ann")
        assert answer.headers["cache-control"] == "no-store"
        await running.keys.destroy("lot", f"session:{session}")
        assert (await running.http.get(url)).status_code == 410


async def test_the_plate_that_was_set_last_holds(desk):
    async with desk() as (running, (session, other)):
        await set_plate(running, session)
        await set_plate(running, session, "M AB 9", number=2)
        url = f"/v1/sites/lot/sessions/{session}/plate"
        assert (await running.http.get(url)).json()["plate"] == "M AB 9"
        assert (await running.http.get(url, params={"known_at": "1"})).json()["plate"] == PLATE
        assert (await running.http.get(f"/v1/sites/lot/sessions/{other}/plate")).status_code == 404


async def test_money_that_names_a_plate_is_for_the_stay_that_has_it_and_the_plate_is_not_kept(desk):
    async with desk() as (running, (session, _)):
        await set_plate(running, session)
        assert (await running.http.post(PAYMENTS, json=PAID)).json()["outcome"] == "stored"
        await folded(running)
        stored = (await running.log.observations("lot"))[-1].event.payload
        assert (stored.session, stored.amount_minor) == (session, 200)
        closed = {**SET, "id": "desk-2", "decision": "close", "session": session, "at": "2026-01-01T12:40:00Z"}
        await running.http.post(DECISIONS, json=closed)
        await folded(running)
        again = await running.http.post(PAYMENTS, json=PAID)
        assert again.json()["outcome"] == "duplicate", "it is the same payment, though the stay is over and paid"


@pytest.mark.parametrize(
    ("plates", "change", "status", "said"),
    [
        (1, {"plate": "OTHER 1"}, 404, "return the money"),
        (2, {}, 409, "2 stays have this plate"),
        (1, {"session": "s-1"}, 422, "either 'session' or 'plate'"),
        (1, {"plate": None}, 422, "either 'session' or 'plate'"),
    ],
)
async def test_money_whose_stay_cannot_be_told_is_refused(desk, plates, change, status, said):
    async with desk() as (running, sessions):
        for number, session in enumerate(sessions[:plates], 1):
            await set_plate(running, session, number=number)
        answer = await running.http.post(PAYMENTS, json={**PAID, **change})
        assert answer.status_code == status
        assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "set_plate"},
        {"decision": "waive", "personal": Personal(plate=PlateRead(text=PLATE, score=1.0))},
        {"decision": "set_plate", "personal": Personal(embedding=b"x")},
        {"decision": "set_plate", "sealed": Sealed(key_id="k", ciphertext=b"x")},
    ],
)
async def test_a_decision_whose_plate_is_not_where_it_must_be_is_refused(serve, change):
    payload = OperatorDecided(author="ann", reason="seen", session="s-1", **change)
    key = DeviceKey(device="desk", boot_epoch=1, sequence=1)
    event = ObservationEvent(site="lot", key=key, occurred_at=1_767_268_800_000_000, payload=payload)
    async with serve() as running:
        answer = await running.http.post("/v1/sites/lot/observations", content=to_json(event))
        assert answer.status_code == 422


async def test_a_plate_finds_the_stays_that_have_it(desk):
    async with desk() as (running, stays):
        await set_plate(running, stays[0])
        found = await running.http.get("/v1/sites/lot/plates", params={"plate": "bxy 123"})
        assert [one["session"] for one in found.json()["sessions"]] == [stays[0]]
        assert found.headers["cache-control"] == "no-store"
        other = await running.http.get("/v1/sites/lot/plates", params={"plate": "B-XY 124"})
        assert (other.status_code, other.json()["sessions"]) == (200, [])
        odd = await running.http.get("/v1/sites/lot/plates", params={"plate": "- <1>"})
        assert (odd.status_code, "is no number plate" in odd.json()["detail"]) == (422, True)
