"""The client's reads and writes, against the application: what it gives is what the service answers, typed."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx2
import pytest

from twin.backoff import Backoff
from twin.client import Client, ServiceError
from twin.events.facts import SessionClosed
from twin.log.port import FoldCommit

LOT = "/v1/sites/lot"
HEAVY = ("starlette", "uvicorn", "numpy", "networkx", "numba", "sqlalchemy", "cryptography", "qdrant_edge")


@pytest.fixture
def a_stay(story):
    return story.events(
        story.confirmed(),
        story.opened(),
        story.assigned(),
        story.parked(),
        story.stall(),
        story.opened("p2", "v2"),
        story.opened("p3", "v3"),
    )


@asynccontextmanager
async def client_of(running, **given):
    backoff = Backoff(lambda: 0.0, first_s=0.01, longest_s=0.01)
    transport = httpx2.ASGITransport(app=running.app)
    async with (
        httpx2.AsyncClient(transport=transport) as http,
        Client("http://twin", site="lot", http=http, backoff=backoff, **given) as client,
    ):
        yield client


async def test_state_vehicles_and_occupancy_are_what_the_service_answers(serve, a_stay):
    async with serve(a_stay) as running, client_of(running) as client:
        state = await client.state()
        assert (state.site, state.position, [one.vehicle for one in state.vehicles]) == ("lot", "7", ["v1"])
        assert state.vehicles[0].stall == "s1"
        assert (await client.vehicles()).vehicles == state.vehicles
        told = await client.vehicle("v1", limit=2)
        assert (told.state, len(told.history), told.sightings[0].tracklet) == ("parked", 2, "left/1")
        assert (await client.occupancy()).counters.entries == 3


async def test_the_past_of_stalls_and_what_they_were_used_for_are_typed(serve, a_stay):
    async with serve(a_stay) as running, client_of(running) as client:
        span = {"from_": datetime(2026, 1, 1, 12, tzinfo=UTC), "until": "2026-01-01T12:01:00Z"}
        series = await client.occupancy_series(**span, step_s=30, zone="row_a")
        assert [(one.zone, one.n_stalls) for point in series.points for one in point.zones] == [("row_a", 4)] * 3
        told = await client.turnover(**span, known_at=1)
        assert (told.position, [one.zone for one in told.zones]) == ("1", ["row_a", "row_b"])


async def test_reads_take_both_times(serve, a_stay):
    async with serve(a_stay) as running, client_of(running) as client:
        assert (await client.state(known_at=1)).position == "1"
        noon = datetime(2026, 1, 1, 12, 0, 2, tzinfo=UTC)
        assert [one.session async for one in client.sessions(at=noon)] == ["p1"]
        assert [one.session async for one in client.sessions(at="2026-01-01T12:00:07Z", known_at=6)] == ["p1", "p2"]


async def test_sessions_and_facts_are_read_page_by_page(serve, a_stay):
    async with serve(a_stay) as running, client_of(running) as client:
        assert [one.session async for one in client.sessions(page=2)] == ["p1", "p2", "p3"]
        assert [one.session async for one in client.sessions(page=2, vehicle="v2")] == ["p2"]
        facts = [one async for one in client.fact_log(page=3)]
        assert [one.position for one in facts] == list(range(1, 8))
        assert (facts[1].type, facts[1].fact.payload.session, facts[1].n_attempts) == ("session.opened.v1", "p1", 0)
        assert [one.position async for one in client.fact_log(after=5, page=1)] == [6, 7]


async def test_pages_of_sessions_are_of_what_was_known_at_the_first(serve, story, a_stay):
    async with serve(a_stay) as running, client_of(running) as client:
        found = []
        async for stay in client.sessions(page=1):
            if not found:
                await story.add(running.log, [story.event(8, story.opened("early", "v9", at=0), at=0)])
            found.append(stay.session)
        assert found == ["p1", "p2", "p3"]


def corrected(story):
    """Where v1 was is corrected twice."""
    first = story.event(1, story.confirmed(), at=1)
    second = story.event(2, story.confirmed(x=3.0), at=1, supersedes=[first.id])
    return [first, second, story.event(3, story.confirmed(x=4.0), at=1, supersedes=[second.id])]


async def test_corrections_are_read_page_by_page_as_they_were_known_at_the_first(serve, story):
    events = corrected(story)
    async with serve(events) as running, client_of(running) as client:
        assert [one.after async for one in client.corrections()] == ["2", "3"]
        assert [one.after async for one in client.corrections(until="2026-01-01T12:00:00Z")] == []
        assert [one.after async for one in client.corrections(known_at=2)] == ["2"]
        found = []
        async for one in client.corrections(page=1):
            if not found:
                late = story.event(4, story.confirmed(x=5.0), at=1, supersedes=[events[2].id])
                await story.add(running.log, [late])
            found.append(one.after)
        assert found == ["2", "3"]
        changes = await client.changes(from_known_at=1, to_known_at=2)
        assert [(one.fact["position"], one.by) for one in changes.superseded] == [("1", "2")]
        assert changes.state.vehicles[0].after.position_m == (3.0, 3.0)
        since = await client.changes(from_known_at=0, to_known_at=3, from_="2026-01-01T12:00:02Z", until="2026-01-01T13:00:00Z")
        assert (since.added, since.state) == ([], None)


async def test_stays_in_doubt_and_one_stay_are_typed(serve, story):
    async with serve(story.events(story.opened(), story.orphaned(exit=2.0))) as running, client_of(running) as client:
        told = await client.review()
        assert [(one.session.session, one.candidates[0].session) for one in told.cases] == [("p9", "p1")]
        assert (await client.review(from_="2026-01-01T12:00:03Z")).cases == []
        assert (await client.review(limit=0)).n_waiting == 1
        stay = await client.stay("p1")
        assert (stay.session.status, [one.version for one in stay.versions]) == ("open", [1])


async def test_pictures_and_one_picture_are_typed(serve):
    jpeg = bytes.fromhex("ffd8 ffc0000b08 0064 0064 01011100 ffda00080101003f00 010203 ffd9")
    at, url = "2026-01-01T12:00:00Z", f"{LOT}/cameras/left/picture"
    async with serve() as running, client_of(running) as client:
        assert await client.picture("left") is None
        assert (await running.http.put(url, content=jpeg, params={"at": at})).status_code == 204
        found = await client.picture("left")
        assert (found.jpeg, found.taken_at) == (jpeg, at)
        told = await client.pictures()
        assert [(one.camera, one.taken_at) for one in told.pictures] == [("left", at), ("right", None)]
        (only,) = (await client.pictures(camera="left")).pictures
        assert (only.received_at, only.boxes) == (found.received_at, None)
        with pytest.raises(ServiceError, match="404: "):
            await client.picture("nowhere")


async def test_how_far_subscriptions_are_is_typed(serve, a_stay):
    async with serve(a_stay) as running, client_of(running) as client:
        await running.http.put(f"{LOT}/subscriptions/billing", json={"after": "0", "most_attempts": 1})
        lease = (await running.http.post(f"{LOT}/subscriptions/billing/lease", json={"limit": 1})).json()
        refused = {"lease": lease["lease"], "position": "1", "reason": "no account"}
        await running.http.post(f"{LOT}/subscriptions/billing/refuse", json=refused)
        (one,) = (await client.standings()).standings
        assert (one.name, one.state, one.lag, one.n_parked) == ("billing", "active", 7, 1)
        assert [parked.reason for parked in (await client.standing("billing")).parked] == ["no account"]


async def test_a_payment_and_a_decision_are_stored_once_and_waited_for(serve, story, a_stay):
    async with serve(a_stay) as running, client_of(running) as client:
        decision = {"author": "a", "reason": "r", "session": "p1", "at": datetime(2026, 1, 1, 12, 5, tzinfo=UTC)}
        receipt = await client.decide("d1", "waive", **decision)
        assert (receipt.outcome, (await client.decide("d1", "waive", **decision)).outcome) == ("stored", "duplicate")
        reading = asyncio.create_task(client.state(wait_for=receipt.position))
        done, _ = await asyncio.wait([reading], timeout=0.1)
        assert not done
        heads = await running.log.heads("lot")
        token = await running.log.acquire("lot", "test")
        fact = story.event(heads.observations, story.closed(), at=400)
        await running.log.commit(FoldCommit(token=token, after=heads.cursor, cursor=heads.observations, facts=(fact,)))
        assert (await asyncio.wait_for(reading, 5)).position == "8"
        closed = [one async for one in client.fact_log(after=7)][-1].fact.payload
        assert isinstance(closed, SessionClosed)


async def test_observations_are_appended_and_a_resend_is_told(serve, story):
    async with serve() as running, client_of(running) as client:
        events = [story.observation(1), story.observation(2)]
        assert [one.position for one in await client.observe(events)] == ["1", "2"]
        assert [one.outcome for one in await client.observe(events)] == ["duplicate", "duplicate"]


async def test_what_is_due_is_typed(serve, story):
    async with serve(story.events(story.opened())) as running, client_of(running) as client:
        due = await client.due("p1", at="2026-01-01T13:00:00Z")
        assert (due.session, due.status, due.paid_minor) == ("p1", "open", 0)


async def test_a_refusal_has_its_status_and_its_problem(serve):
    async with serve() as running, client_of(running) as client:
        with pytest.raises(ServiceError, match="404: no fact of site 'lot'") as refused:
            await client.vehicle("nobody")
        assert refused.value.status == 404
        assert refused.value.problem["type"] == "urn:twin:problem:not-found"
        with pytest.raises(ServiceError, match="was not folded within") as early:
            await client.state(wait_for="fact:1", wait_s=0.01)
        assert early.value.problem["type"] == "urn:twin:problem:not-yet"


async def test_headers_go_with_every_request(serve):
    seen = []

    async def app(scope, receive, send):
        seen.append(dict(scope["headers"]).get(b"authorization"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"facts":[],"head":"0"}'})

    async with (
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as http,
        Client("http://twin", site="lot", http=http, headers={"authorization": "Bearer k"}) as client,
    ):
        await client.facts()
    assert seen == [b"Bearer k"]


async def test_single_places_and_the_map_are_typed(serve, a_stay):
    async with serve(a_stay) as running, client_of(running) as client:
        model = await client.site_model()
        assert (model.name, model.cameras[0].id, len(model.stalls)) == (
            "lot",
            "left",
            len(running.app.state.services.sites["lot"].stalls),
        )
        stall = await client.stall("s1", limit=1, wait_for=1)
        assert (stall.state, stall.vehicle, len(stall.history)) == ("occupied", "v1", 1)
        assert (await client.stall("s1", at="2025-01-01T00:00:00Z")).state == "unknown"
        assert (await client.camera("left", known_at=0)).history == []
        assert (await client.calibration("left", known_at=0, wait_for=1)).since_at is None
        seen = await client.visitors("row_a", from_="2026-01-01T12:00:00Z", until="2026-01-01T13:00:00Z", wait_for=1)
        assert [(one.vehicle, one.left_at) for one in seen.visits] == [("v1", None)]
        assert (await client.stays_with_plate("B-XY 1")).sessions == []
        with pytest.raises(ServiceError) as refused:
            await client.plate("p1", known_at=7)
        assert refused.value.status == 404
        with pytest.raises(ServiceError, match="no stall 'nowhere'"):
            await client.stall("nowhere")


async def test_reads_of_a_stretch_wait_for_what_their_reader_wrote(serve, a_stay):
    span = {"from_": "2026-01-01T12:00:00Z", "until": "2026-01-01T12:01:00Z"}
    async with serve(a_stay) as running, client_of(running) as client:
        for ask in (
            lambda **known: client.occupancy_series(**span, **known),
            lambda **known: client.turnover(**span, **known),
            lambda **known: client.due("p1", at="2026-01-01T12:30:00Z", **known),
        ):
            with pytest.raises(ServiceError) as late:
                await ask(wait_for="fact:8", wait_s=0.02)
            assert late.value.problem["type"] == "urn:twin:problem:not-yet"
            assert await ask(wait_for=1)


async def test_webhooks_are_kept_by_calls(serve, a_stay):
    async with serve(a_stay) as running, client_of(running) as client:
        made = await client.put_webhook("bills", "http://127.0.0.1:9/twin", types=["session.closed.v1"], after=0)
        assert (made.name, made.types, made.secret[:6]) == ("bills", ("session.closed.v1",), "whsec_")
        assert (await client.put_webhook("bills", "http://127.0.0.1:9/twin")).secret is None
        assert [one.name for one in (await client.webhooks()).webhooks] == ["bills"]
        assert (await client.pause_webhook("bills")).state == "paused"
        assert (await client.webhook("bills")).state == "paused"
        assert (await client.resume_webhook("bills")).state == "active"
        assert (await client.rotate_webhook_secret("bills")).startswith("whsec_")
        assert len((await client.webhook("bills")).old_secrets_until) == 1
        assert await client.rotate_webhook_secret("bills", overlap_s=0) != made.secret
        assert (await client.webhook("bills")).old_secrets_until == []
        assert (await client.test_webhook("bills")).outcome == "failed"  # nobody listens there
        assert [one.position for one in (await client.webhook_deliveries("bills", limit=1)).deliveries] == [None]
        await client.replay_webhook("bills", after=0)
        for ask in (client.retry_parked, client.discard_parked):
            with pytest.raises(ServiceError):
                await ask("bills", 3)
        await client.delete_webhook("bills")
        with pytest.raises(ServiceError, match="404"):
            await client.webhook("bills")


def test_a_consumer_needs_none_of_the_service():
    program = f"import sys, twin.client; print([one for one in {HEAVY} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
