"""What whoever runs the service reads: whether it works, what it is made of, and what became of a request."""

import asyncio
import json
import logging
import re
from pathlib import Path

import msgspec
import pytest
import yaml
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from twin.api import introspection
from twin.settings import Settings

OPS = Path(__file__).parents[3] / "ops"


async def test_a_service_that_is_stopping_is_not_ready_and_still_healthy(serve):
    stopping = asyncio.Event()
    async with serve(stopping=stopping) as running:
        assert (await running.http.get("/readyz")).status_code == 200
        stopping.set()
        answer = await running.http.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["serving"]) == (503, "stopping")
        assert (await running.http.get("/healthz")).status_code == 200
        assert "twin_ready 0.0" in (await running.http.get("/metrics")).text


async def test_a_lease_that_waits_is_answered_once_the_service_stops(serve):
    stopping = asyncio.Event()
    async with serve(stopping=stopping) as running:
        path = "/v1/sites/lot/subscriptions/billing"
        await running.http.put(path, json={})
        waiting = asyncio.create_task(running.http.post(f"{path}/lease", json={"wait_s": 60}))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        stopping.set()
        async with asyncio.timeout(5):
            answer = await waiting
        assert answer.status_code == 200
        assert answer.json()["deliveries"] == []


async def test_a_request_is_answered_with_its_id_and_a_refused_one_is_logged_with_it(serve, caplog):
    caplog.set_level(logging.INFO, "twin.api.requests")
    async with serve() as running:
        given = await running.http.get("/v1/sites", headers={"x-request-id": "from-the-proxy.1"})
        assert given.headers["x-request-id"] == "from-the-proxy.1"
        made = [(await running.http.get("/v1/sites")).headers["x-request-id"] for _ in range(2)]
        assert made[0] != made[1]
        odd = await running.http.get("/v1/sites", headers={"x-request-id": "a b\t<script>"})
        assert "<" not in odd.headers["x-request-id"]
        assert caplog.records == []  # what went well is not worth a line
        await running.http.get("/v1/sites/nowhere/state")
        (record,) = [one for one in caplog.records if one.name == "twin.api.requests"]
        assert (record.path, record.status, record.method) == ("/v1/sites/nowhere/state", 404, "GET")


async def test_a_request_that_breaks_is_answered_and_logged_with_its_id(serve, caplog):
    async def break_down(request):
        raise RuntimeError("an inside that nobody is told")

    break_down.scope = None
    async with serve(extra_routes=[Route("/v1/broken", break_down)]) as running:
        answer = await running.http.get("/v1/broken", headers={"x-request-id": "mine"})
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert answer.headers["x-request-id"] == "mine"
        assert "nobody is told" not in answer.text
        assert 'route="/v1/broken",status="500"' in (await running.http.get("/metrics")).text
    (broke,) = [one for one in caplog.records if one.name == "twin.api.unforeseen"]
    assert broke.getMessage() == "GET /v1/broken broke"
    assert broke.exc_info[0] is RuntimeError


async def test_a_live_feed_that_breaks_before_it_begins_is_answered_with_its_id(serve, listen):
    async with serve() as running, listen(running.app) as address:
        running.app.state.services.hubs.clear()
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(f"ws://{address}/v1/sites/lot/live", additional_headers={"x-request-id": "mine"}):
                pass
        assert refusal.value.response.status_code == 500
        assert refusal.value.response.headers["x-request-id"] == "mine"


async def test_introspection_tells_what_its_types_say(serve, story):
    settings = Settings(database_url="postgresql://twin:hunter2@db/twin", qdrant_api_key="hunter3")
    async with serve(story.events(), settings=settings.told()) as running:
        for endpoint in introspection.ENDPOINTS:
            answer = await running.http.get(endpoint.path)
            assert answer.status_code == 200, endpoint.path
            decoded = msgspec.json.decode(answer.content, type=endpoint.answer)
            assert set(msgspec.to_builtins(decoded)) == set(answer.json())
        told = (await running.http.get("/-/settings.json")).text
        assert "hunter" not in told
        assert json.loads(told)["settings"]["database_url"] == "postgresql://twin:(set)@db/twin"
        (log,) = (await running.http.get("/-/log.json")).json()["sites"]
        heads = await running.log.heads("lot")
        assert (log["facts"], log["observations"]) == (heads.facts, heads.observations)
        assert log["fact_chain"] == (await running.log.chain("lot")).facts.link.content.hex()


async def test_every_introspection_page_is_served(serve):
    async with serve() as running:
        for path in introspection.PAGES:
            answer = await running.http.get(path)
            assert answer.status_code == 200
            assert "introspection.js" in answer.text


@pytest.fixture
async def told_metrics(serve):
    """Names of the metrics that the service has, with their labels."""
    async with serve() as running:
        await running.http.put("/v1/sites/lot/subscriptions/billing", json={})
        await running.http.post("/v1/sites/lot/observations", content=b"[]")
        text = (await running.http.get("/metrics")).text
        text = (await running.http.get("/metrics")).text if "twin_http_requests_total{" not in text else text
    return set(re.findall(r"^# TYPE (\S+)", text, re.M)) | set(re.findall(r"^(\w+)(?:{| )", text, re.M)) | {"up"}


def expressions():
    board = json.loads((OPS / "grafana/twin.json").read_text())
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
    rules = yaml.safe_load((OPS / "prometheus/alerts.yaml").read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])


async def test_dashboard_and_alerts_ask_only_for_figures_that_there_are(told_metrics):
    asked = {name for one in expressions() for name in re.findall(r"\b((?:twin|process)_\w+|up)\b(?=[{\[ )]|$)", one)}
    assert len(asked) > 10
    assert asked - told_metrics == set()


async def test_what_is_counted_by_outcome_begins_at_0(serve):
    async with serve() as running:
        await running.http.put("/v1/sites/lot/webhooks/bills", json={"url": "http://127.0.0.1:9/x"})
        told = (await running.http.get("/metrics")).text
    for outcome in ("stored", "duplicate", "refused", "expired", "accepted"):
        assert f'twin_observations_total{{outcome="{outcome}",site="lot"}} 0.0' in told
    for outcome in ("delivered", "failed", "parked", "disabled"):
        assert f'twin_webhook_attempts_total{{outcome="{outcome}",site="lot",webhook="bills"}} 0.0' in told
    assert 'twin_gate_decision_seconds_count{site="lot"} 0.0' in told


async def test_a_webhook_is_told_as_one_alone_and_what_is_paused_is_told(serve):
    async with serve() as running:
        await running.http.put("/v1/sites/lot/subscriptions/billing", json={})
        await running.http.put("/v1/sites/lot/webhooks/bills", json={"url": "http://127.0.0.1:9/x"})
        before = (await running.http.get("/metrics")).text
        await running.http.post("/v1/sites/lot/subscriptions/billing/pause")
        await running.http.post("/v1/sites/lot/webhooks/bills/pause")
        after = (await running.http.get("/metrics")).text
    assert re.findall(r'twin_subscription_lag{.*subscription="(.*)"}', before) == ["billing"]
    for name in (
        'twin_subscription_paused{site="lot",subscription="billing"}',
        'twin_webhook_paused{site="lot",webhook="bills"}',
    ):
        assert (f"{name} 0.0" in before, f"{name} 1.0" in after) == (True, True)


def test_who_is_paused_is_not_called_behind():
    rules = yaml.safe_load((OPS / "prometheus/alerts.yaml").read_text())["groups"][0]["rules"]
    expr_by_alert = {rule["alert"]: " ".join(rule["expr"].split()) for rule in rules}
    assert expr_by_alert["TwinSubscriptionBehind"].endswith(" unless twin_subscription_paused == 1")
    assert expr_by_alert["TwinWebhookBehind"].endswith(" unless twin_webhook_paused == 1 unless twin_webhook_disabled == 1")


def test_every_alert_says_what_it_means_and_what_to_do():
    rules = yaml.safe_load((OPS / "prometheus/alerts.yaml").read_text())["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["annotations"]["summary"], rule
        assert rule["annotations"]["action"], rule
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_dashboards_panels_do_not_overlap():
    taken = set()
    for panel in json.loads((OPS / "grafana/twin.json").read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
