import logging
import re
from typing import get_args

import msgspec
import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from twin.api.app import ENDPOINTS, SHEETS
from twin.api.introspection import PAGES
from twin.api.schemas import Facts, Health, Sessions, Sites, Vehicles, VehicleTold
from twin.errors import LogClosed
from twin.events.observations import Decision
from twin.events.state import OccupancyView, StateView
from twin.events.wire import TIME
from twin.projections.site_answers import SiteModel


async def search(request):
    """Vehicles that look like a picture."""
    return JSONResponse({})


search.scope = "search"
SEARCH = Route("/v1/sites/{site}/search", search, methods=["POST"])


async def test_sites_are_listed_and_told_with_what_their_cameras_see(serve):
    async with serve() as running:
        assert (await running.http.get("/v1/sites")).json() == {"sites": ["lot"]}
        site = (await running.http.get("/v1/sites/lot")).json()
        assert site["extent_m"] == [0.0, 0.0, 80.0, 11.0]
        (left, _) = site["cameras"]
        assert left["position_m"] is None
        xs, ys = zip(*left["footprint_m"], strict=True)
        assert (min(xs), min(ys), max(xs), max(ys)) == (0.0, 0.0, 22.0, 11.0)
        assert set(site["cameras_by_stall"]) == {one["id"] for one in site["stalls"]}
        seen = {camera for pieces in site["cameras_by_stall"].values() for piece in pieces for camera in piece}
        assert seen == {one["id"] for one in site["cameras"]}


async def test_answers_have_their_documented_forms(serve, story):
    async with serve(story.events(story.confirmed(), story.opened(), story.parked())) as running:
        for path, form in (
            ("/v1/sites", Sites),
            ("/v1/sites/lot", SiteModel),
            ("/v1/sites/lot/state", StateView),
            ("/v1/sites/lot/vehicles", Vehicles),
            ("/v1/sites/lot/vehicles/v1", VehicleTold),
            ("/v1/sites/lot/occupancy", OccupancyView),
            ("/v1/sites/lot/sessions", Sessions),
            ("/v1/sites/lot/facts", Facts),
            ("/healthz", Health),
        ):
            answer = await running.http.get(path)
            decoded = msgspec.json.decode(answer.content, type=form)
            assert answer.status_code == 200
            assert set(msgspec.to_builtins(decoded)) == set(answer.json())


OPEN = {"/", "/explore", "/docs", "/login", "/favicon.ico", "/openapi.json", "/asyncapi.json", *PAGES}


OPEN = {"/", "/explore", "/docs", "/login", "/favicon.ico", "/openapi.json", "/asyncapi.json", *PAGES, *SHEETS}


async def test_every_route_is_documented(serve):
    async with serve(extra_routes=[SEARCH]) as running:
        document = (await running.http.get("/openapi.json")).json()
        documented = {(path, method.upper()) for path, operations in document["paths"].items() for method in operations}
        served = {
            (re.sub(r"{(\w+):\w+}", r"{\1}", route.path), method)
            for route in running.app.routes
            if isinstance(route, Route) and route.path not in OPEN
            for method in route.methods - {"HEAD"}
        }
        assert documented == served
        assert document["openapi"] == "3.1.0"
        assert document["paths"]["/v1/sites/{site}/search"]["post"]["summary"] == "Vehicles that look like a picture."
        assert any(isinstance(route, WebSocketRoute) for route in running.app.routes)


async def test_every_reference_in_the_documentation_leads_somewhere(serve):
    async with serve() as running:
        answer = await running.http.get("/openapi.json")
        schemas = answer.json()["components"]["schemas"]
        names = set(re.findall(r'"#/components/schemas/([^"]+)"', answer.text))
        assert names <= set(schemas)
        assert {"StateView", "Problem", "SiteModel"} <= names
        assert "omit_defaults" not in answer.text


async def test_every_json_body_is_documented_with_its_properties(serve):
    async with serve() as running:
        document = (await running.http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    bodies = {
        (path, method): operation["requestBody"]["content"]["application/json"]["schema"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "$ref" in operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    }
    without = [name for name, schema in bodies.items() if not schemas[schema["$ref"].rsplit("/", 1)[1]].get("properties")]
    assert not without
    decision = schemas[bodies["/v1/sites/{site}/decisions", "post"]["$ref"].rsplit("/", 1)[1]]
    assert decision["properties"]["decision"]["enum"] == sorted(get_args(Decision))
    assert decision["properties"]["at"] | TIME == decision["properties"]["at"]
    assert decision["required"] == ["id", "decision", "author", "reason", "at"]


async def test_operations_have_names_of_their_own(serve):
    names = [endpoint.handler.__name__ for endpoint in ENDPOINTS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/sites/elsewhere", 404),
        ("GET", "/v1/sites/elsewhere/state", 404),
        ("POST", "/v1/sites/elsewhere/observations", 404),
        ("DELETE", "/v1/sites/lot/state", 405),
        ("GET", "/v1/sites/lot/observations", 405),
        ("GET", "/static/none.js", 404),
        ("GET", "/static/../app.py", 404),
    ],
)
async def test_what_is_not_there_is_told_as_a_problem(serve, method, path, status):
    async with serve() as running:
        answer = await running.http.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["status"] == status
        assert answer.json()["detail"]


async def test_what_breaks_tells_nothing_of_the_inside(serve, caplog):
    async def breaking(request):
        raise RuntimeError("the password is swordfish")

    breaking.scope = None
    async with serve(extra_routes=[Route("/break", breaking)]) as running:
        with caplog.at_level(logging.ERROR):
            answer = await running.http.get("/break")
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert "swordfish" not in answer.text
        assert "swordfish" in caplog.text


async def test_a_client_that_goes_away_in_its_body_breaks_nothing(serve, caplog):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/sites/lot/observations", "headers": [], "query_string": b"",
        "http_version": "1.1", "scheme": "http", "server": ("twin", 80), "client": None, "root_path": "",
    }  # fmt: skip
    async with serve() as running:
        await running.app(scope, receive, send)
    assert sent[0]["status"] == 499
    assert not caplog.records


async def test_health_tells_what_is_wrong(serve):
    async def stalled():
        return "worker of site 'lot' has not folded for 12 s"

    async with serve(checks={"worker": stalled}) as running:
        answer = await running.http.get("/healthz")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "failing",
            "checks": {"log": "ok", "worker": "worker of site 'lot' has not folded for 12 s"},
        }


async def test_a_log_that_stopped_is_unhealthy(serve):
    async with serve() as running:

        async def stopped(site):
            raise LogClosed("the log stopped after an fsync error; reopen and verify")

        heads, running.log.heads = running.log.heads, stopped
        answer = await running.http.get("/healthz")
        running.log.heads = heads
        assert (answer.status_code, answer.json()["checks"]["log"][:15]) == (503, "the log stopped")


async def test_metrics_count_requests_by_route_and_tell_the_folds_lag(serve, story):
    async with serve(story.events(story.confirmed())) as running:
        await running.log.append([story.observation(number) for number in (7, 8, 9)])
        for _ in range(2):
            await running.http.get("/v1/sites/lot/state")
        await running.http.get("/nowhere/at/all")
        text = (await running.http.get("/metrics")).text
        assert 'twin_http_requests_total{method="GET",route="/v1/sites/{site}/state",status="200"} 2.0' in text
        assert "/nowhere" not in text
        assert 'twin_fold_lag{site="lot"} 3.0' in text
        assert 'twin_live_clients{site="lot"} 0.0' in text


async def test_a_page_of_another_website_may_read_nothing_new_and_write_nothing(serve):
    async with serve() as running:
        foreign = {"origin": "https://evil.example"}
        answer = await running.http.post("/v1/sites/lot/observations", content=b"", headers=foreign)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
        for odd in ("http://[", "null", "http://[twin", "http://twin@evil.example", ""):
            told = await running.http.post("/v1/sites/lot/observations", content=b"", headers={"origin": odd})
            assert told.status_code == 403, odd
        own = await running.http.post("/v1/sites/lot/observations", content=b"", headers={"origin": "http://twin"})
        assert own.status_code == 200
        assert "access-control-allow-origin" not in (await running.http.get("/v1/sites", headers=foreign)).headers


async def test_the_pages_and_their_icon_are_served(serve):
    async with serve() as running:
        for path in ("/", "/explore"):
            page = await running.http.get(path)
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        icon = await running.http.get("/favicon.ico")
        assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")
