"""kill -9 of the service while it sends webhooks to a receiver that fails: every fact arrives, in order, under its id."""

from __future__ import annotations

import asyncio
import os
import random
import signal

import httpx2
import pytest

from twin.evaluation.proofs import part
from twin.events.codec import from_cloudevent
from twin.events.envelope import RecordedFact
from twin.feeds.subscriptions import order_of

KILLS = int(os.environ.get("WEBHOOK_KILLS", "3"))
SEED = int(os.environ.get("KILL_SEED", "7"))
TYPES = ["stall.changed.v1", "vehicle.parked.v1", "vehicle.confirmed.v1", "portal.crossed.v1", "tracklet.assigned.v1"]


@pytest.mark.timeout(200 + 30 * KILLS)
async def test_a_service_killed_while_it_sends_misses_no_fact_and_keeps_their_order(
    processes, port, wait_healthy, tmp_path, monkeypatch
):
    draw, lib = random.Random(SEED), part("receiver")
    well, faults = lib.Reaction(), (lib.Reaction(500), lib.Reaction(None), lib.Reaction(None, is_had=True))
    receiver = lib.Receiver(lambda one: draw.choice(faults) if draw.random() < 0.05 else well)
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("TWIN_WEBHOOK_ALLOW", "127.0.0.0/8")
    serve = ("twin.cli", "serve", "--site", "demo_lot", "--data-dir", str(tmp_path / "data"), "--port", str(port))
    service = processes.spawn(*serve, name="service")
    await asyncio.to_thread(wait_healthy, url, service)
    async with receiver.listening() as address, httpx2.AsyncClient(base_url=f"{url}/v1/sites/demo_lot", timeout=30) as http:
        wanted = {"url": f"http://{address}/in", "types": TYPES, "after": "0"}
        secret = (await http.put("/webhooks/x", json=wanted)).raise_for_status().json()["secret"]
        worker = processes.spawn(
            *("perception.cli", "simulate", "--site", "demo_lot", "--seed", str(SEED), "--log", url),
            *("--spool", str(tmp_path / "spool"), "--for", str(6 + 4 * KILLS), "--json"),
            name="worker",
        )
        for _ in range(KILLS):
            n = len(receiver.requests)
            await receiver.until(n + draw.randint(1, 40), timeout_s=90)
            service.send_signal(signal.SIGKILL)
            await asyncio.to_thread(service.wait)
            service = processes.spawn(*serve, name="service")
            await asyncio.to_thread(wait_healthy, url, service)
        assert await asyncio.to_thread(worker.wait, 100) == 0, processes.errors("worker")
        await asyncio.sleep(1)  # the fold's last ticks
        facts = [one async for one in _facts(http)]
        async with asyncio.timeout(90):
            while int((await http.get("/webhooks/x")).json()["acknowledged_to"]) < facts[-1].position:
                await http.post("/webhooks/x/resume")  # what waits for its next attempt need not
                await asyncio.sleep(0.2)
        later = {fact.event.id async for fact in _facts(http)}  # the fold may still have gone on
    service.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(service.wait, 30) == 0, processes.errors("service")

    expected, had = {}, {}
    for fact in facts:
        expected.setdefault(order_of(fact), []).append(fact.event.id)
    order_by_id = {fact.event.id: order_of(fact) for fact in facts}
    for one in dict.fromkeys(one.id for one in receiver.had if one.id in order_by_id):
        had.setdefault(order_by_id[one], []).append(one)
    assert {one.id for one in receiver.requests} <= later
    assert len(facts) > 50
    assert had == expected
    assert all(lib.is_signed(one, secret) and one.event["id"] == one.id for one in receiver.requests)


async def _facts(http):
    after = 0
    while page := (await http.get("/facts", params={"after": after, "limit": 1000})).raise_for_status().json()["facts"]:
        for one in page:
            after = int(one["position"])
            if one["type"] in TYPES:
                yield RecordedFact(position=after, recorded_at=0, event=from_cloudevent(one))
