"""Every route there is, asked by everybody who may and by everybody who may not."""

import asyncio
import re
from dataclasses import replace

import msgspec
import pytest
from msgspec import structs
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from retrieval.api import SearchRoutes
from site_models.schema import Tariff
from twin.access import SCOPES
from twin.access.store import AccessStore
from twin.api.app import ENDPOINTS, SHEETS
from twin.api.guard import check_guarded
from twin.api.introspection import PAGES
from twin.client import Client, ServiceError
from twin.errors import BadInput, Overloaded
from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import LoopTripped, OperatorDecided, SiteEdited

DOCUMENTS = {"/openapi.json", "/asyncapi.json", "/docs"}
OPEN = {"/", "/explore", "/login", "/favicon.ico", "/healthz", "/readyz", "/v1/session", *DOCUMENTS, *PAGES, *SHEETS}
SEARCH = SearchRoutes(None, {}, None, None).routes  # the real routes, over no site


def asked(app, site="lot"):
    """Every method of every route that takes a key, with a path at a site, its scope, and whether it is of a site at all."""
    for route in app.routes:
        if isinstance(route, Route) and route.endpoint.scope is not None:
            path = re.sub(r"{\w+(:\w+)?}", "x", route.path.replace("{site}", site))
            for method in sorted(route.methods):
                yield method, path, route.endpoint.scope, "{site}" in route.path


def sockets(app, site="lot"):
    return [(one.path.replace("{site}", site), one.endpoint.scope) for one in app.routes if isinstance(one, WebSocketRoute)]


async def answer(running, method, path, key=None):
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    try:
        async with asyncio.timeout(2):
            return await running.http.request(method, path, headers=headers)
    except TimeoutError:
        return Response(status_code=200)  # it waits, or streams: it was let in


async def handshake(address, path, key):
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    try:
        async with connect(f"ws://{address}{path}", additional_headers=headers) as watcher:
            await watcher.recv()
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


def strangers(doors):
    """Keys that open nothing, by what is wrong with them."""
    right, revoked, expired = doors.key("admin"), doors.key("admin"), doors.key("admin", lasts_s=5)
    doors.revoke(revoked)
    doors.later(5)
    wrong = right[:-4] + ("AAAA" if right[-4:] != "AAAA" else "BBBB")
    return {"none": None, "wrong": wrong, "revoked": revoked, "expired": expired, "nonsense": "nonsense", "no text": ""}


async def test_without_a_key_that_stands_no_route_answers(serve, doors):
    async with doors() as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        keys = strangers(doors)
        for method, path, _, _ in asked(running.app):
            for kind, key in keys.items():
                told = await answer(running, method, path, key)
                assert (told.status_code, told.headers["www-authenticate"][:6]) == (401, "Bearer"), (method, path, kind)
                assert method == "HEAD" or told.json()["type"] == "urn:twin:problem:unauthorized"
                assert "lot" not in told.text


async def test_a_key_for_another_site_can_do_nothing_and_learns_nothing_of_this_one(serve, doors):
    async with doors() as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        others = [doors.key(scope, sites=("elsewhere",)) for scope in SCOPES]
        for method, path, _, is_of_site in asked(running.app):
            for key in others:
                told = await answer(running, method, path, key)
                if is_of_site:
                    unknown = await answer(running, method, path.replace("/lot", "/nowhere", 1), key)
                    assert (told.status_code, told.content) == (403, unknown.content), (method, path)
                assert '"lot"' not in told.text, (method, path)


async def test_of_two_sites_that_are_served_the_key_of_one_opens_that_one_alone(serve, doors, lot):
    async with doors() as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        given = running.app.state.services
        both = {
            name: {**getattr(given, name), "yard": getattr(given, name)["lot"]}
            for name in ("timelines", "hubs", "subscriptions")
        }
        sites = {"lot": lot, "yard": structs.replace(lot, name="yard")}
        running.app.state.services = replace(given, sites=sites, **both)
        for method, path, scope, is_of_site in asked(running.app):
            for one in SCOPES if is_of_site else ():
                key = doors.key(one, sites=("yard",))
                assert (await answer(running, method, path, key)).status_code == 403, (method, path, one)
                told = await answer(running, method, path.replace("/lot", "/yard", 1), key)
                assert (told.status_code in (401, 403)) == (one not in (scope, "admin")), (method, path, one)
        key = doors.key("read", sites=("yard",))
        assert (await answer(running, "GET", "/v1/sites", key)).json() == {"sites": ["yard"]}
        assert 'site="lot"' not in (await answer(running, "GET", "/metrics", key)).text


async def test_a_key_without_the_scope_can_do_nothing(serve, doors):
    async with doors() as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        key_by_scope = {scope: doors.key(scope, sites=("*",)) for scope in SCOPES}
        for method, path, scope, _ in asked(running.app):
            for other in set(SCOPES) - {scope, "admin"}:
                told = await answer(running, method, path, key_by_scope[other])
                assert told.status_code == 403, (method, path, other)


async def test_a_key_with_the_scope_or_with_admin_is_let_in(serve, doors):
    async with doors() as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        key_by_scope = {scope: doors.key(scope) for scope in SCOPES}
        everywhere = {scope: doors.key(scope, sites=("*",)) for scope in SCOPES}
        for method, path, scope, is_of_site in asked(running.app):
            for kind in (scope, "admin"):
                told = await answer(running, method, path, (key_by_scope if is_of_site else everywhere)[kind])
                assert told.status_code not in (401, 403, 429), (method, path, kind)
                told = await answer(running, method, path.replace("/lot", "/nowhere", 1), everywhere[kind])
                assert told.status_code not in (401, 403, 429), (method, path, kind)


async def test_a_live_feed_takes_the_same_keys(serve, doors, listen):
    async with doors() as doors, serve(access=doors.access) as running, listen(running.app) as address:
        assert sockets(running.app)
        keys = strangers(doors)
        for path, scope in sockets(running.app):
            for kind, key in keys.items():
                assert await handshake(address, path, key) == 401, kind
            for one in SCOPES:
                other = doors.key(one, sites=("elsewhere",))
                assert await handshake(address, path, other) == 403
                assert await handshake(address, path.replace("/lot", "/nowhere"), other) == 403
                status = await handshake(address, path, doors.key(one))
                assert status == (101 if one in (scope, "admin") else 403), one


async def test_every_route_is_behind_a_scope_or_known_to_be_for_everybody(serve):
    async with serve(extra_routes=SEARCH) as running:
        for route in running.app.routes:
            if isinstance(route, Mount):
                assert route.path == "/static"
            else:
                assert (route.endpoint.scope in SCOPES) != (route.path in OPEN), route.path
        assert {one.path for one in ENDPOINTS if one.scope is None} <= OPEN


@pytest.mark.parametrize("scope", ["absent", "", "everything"])
async def test_a_route_that_does_not_say_what_it_takes_is_refused_at_the_start(serve, scope):
    async def told(request):
        return Response("")

    if scope != "absent":
        told.scope = scope
    with pytest.raises(BadInput, match=r"route '/v1/sites/\{site\}/new' does not say which scope"):
        async with serve(extra_routes=[Route("/v1/sites/{site}/new", told)]):
            pass


async def test_a_route_that_only_says_what_it_takes_and_is_not_behind_it_is_refused(serve):
    async def told(request):
        return Response("")

    told.scope = "read"
    async with serve() as running:
        check_guarded(running.app.routes)
        for route in (Route("/new", told), WebSocketRoute("/new", told), Mount("/new", told)):
            with pytest.raises(BadInput, match="route '/new' is not behind"):
                check_guarded([*running.app.routes, route])


async def test_a_key_for_one_of_two_sites_is_told_of_that_one_alone(serve, doors, lot):
    async with doors() as doors, serve(access=doors.access) as running:
        for sites, names in ((("lot",), ["lot"]), (("elsewhere",), []), (("*",), ["lot"]), (("a", "lot"), ["lot"])):
            key = doors.key("read", sites=sites)
            assert (await answer(running, "GET", "/v1/sites", key)).json() == {"sites": names}
            figures = (await answer(running, "GET", "/metrics", key)).text
            assert ('site="lot"' in figures) == bool(names)
            assert "twin_http_requests_total" in figures


async def test_a_site_that_a_key_is_for_and_that_is_not_served_is_not_found_and_others_are_not_named(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        told = await answer(running, "GET", "/v1/sites/elsewhere/state", doors.key("read", sites=("elsewhere",)))
        assert told.status_code == 404
        assert "lot" not in told.text


async def test_a_key_opens_within_a_second_of_being_made_and_nothing_within_a_second_of_being_revoked(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        key = doors.key("read")
        assert (await answer(running, "GET", "/v1/sites/lot/state", key)).status_code == 200
        doors.store.revoke(key.split("_")[1], doors.now[0])
        doors.later(1)
        assert (await answer(running, "GET", "/v1/sites/lot/state", key)).status_code == 401


async def test_a_connection_is_closed_soon_after_its_key_was_revoked(serve, doors, listen, monkeypatch):
    monkeypatch.setattr("twin.api.guard.RECHECK_S", 0.02)
    async with doors() as doors, serve(access=doors.access) as running, listen(running.app) as address:
        key = doors.key("read")
        async with connect(
            f"ws://{address}/v1/sites/lot/live", additional_headers={"authorization": f"Bearer {key}"}
        ) as watcher:
            await watcher.recv()
            doors.revoke(key)
            async with asyncio.timeout(5):
                await watcher.wait_closed()
        assert watcher.close_code == 1008


async def test_another_way_of_authorization_is_not_known(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        key = doors.key("read")
        for shown, status in ((f"Basic {key}", 401), (key, 401), (f"bearer  {key} ", 200)):
            told = await running.http.get("/v1/sites", headers={"authorization": shown})
            assert told.status_code == status, shown


async def test_open_access_asks_nobody(serve):
    async with serve(extra_routes=SEARCH) as running:
        for method, path, _, _ in asked(running.app):
            assert (await answer(running, method, path)).status_code not in (401, 403, 429), (method, path)
            assert (await answer(running, method, path, "nonsense")).status_code not in (401, 403, 429), (method, path)
        assert (await running.http.get("/")).status_code == 200


async def test_what_a_route_takes_is_documented(serve, doors):
    async with doors() as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        document = (await running.http.get("/openapi.json")).json()
        assert set(document["components"]["securitySchemes"]) == {"key", "session"}
        for route in running.app.routes:
            if isinstance(route, Route) and route.path not in OPEN - {"/healthz", "/v1/session"}:
                for method in route.methods - {"HEAD"}:
                    operation = document["paths"][re.sub(r"{(\w+):\w+}", r"{\1}", route.path)][method.lower()]
                    scope = route.endpoint.scope
                    assert operation["security"] == ([{"key": [scope]}, {"session": [scope]}] if scope else [])
                    assert ({"401", "403", "429"} <= set(operation["responses"])) or scope is None


async def test_a_persons_decision_among_observations_takes_the_scope_of_decisions_and_is_recorded(serve, doors, story):
    payload = OperatorDecided(decision="waive", author="ann", reason="stuck", session="p1")
    key = DeviceKey(device="desk", boot_epoch=1, sequence=1)
    event = ObservationEvent(site="lot", key=key, occurred_at=story.noon, payload=payload)
    async with doors() as doors, serve(access=doors.access) as running:
        for scopes, status, n_stored in ((("ingest",), 403, 0), (("operate",), 403, 0), (("ingest", "operate"), 200, 1)):
            shown = {"authorization": f"Bearer {doors.key(*scopes)}"}
            told = await running.http.post("/v1/sites/lot/observations", content=to_json(event), headers=shown)
            assert told.status_code == status, scopes
            assert (await running.log.heads("lot")).observations == n_stored
        (entry,) = await doors.access.audit.page("lot", after=0, limit=9)
        assert (entry.action, entry.subject) == ("decision", "waive of p1, observation desk/1/1")


async def test_paying_by_plate_takes_the_scope_of_searches_as_its_answer_tells_who_is_here(serve, doors, lot):
    tariff = Tariff(id="h", version=1, currency="EUR", step_minutes=60, price_minor=200)
    money = {"payment": "till-7", "at": "2026-01-01T12:30:00Z", "amount_minor": 200, "currency": "EUR"}
    async with doors() as doors, serve(access=doors.access) as running:
        running.app.state.services.sites["lot"] = msgspec.structs.replace(lot, tariffs=(tariff,))

        async def paid(*scopes, **change):
            shown = {"authorization": f"Bearer {doors.key(*scopes)}"}
            return await running.http.post("/v1/sites/lot/payments", json=money | change, headers=shown)

        refused = await paid("ingest", plate="B-XY 123")
        assert (refused.status_code, "scope 'search'" in refused.json()["detail"]) == (403, True)
        assert (await paid("ingest", "search", plate="B-XY 123", currency="CHF")).status_code == 422
        assert await doors.access.audit.page("lot", after=0, limit=9) == []
        assert (await paid("ingest", "search", plate="B-XY 123")).status_code == 404
        (entry,) = await doors.access.audit.page("lot", after=0, limit=9)
        assert (entry.action, entry.subject) == ("plate", "payment by plate")
        assert (await paid("ingest", session="p1")).status_code == 200


async def test_what_is_wrong_is_told_to_those_with_a_key(serve, doors):
    async def stalled():
        return "worker of site 'lot' has not folded for 12 s"

    async with doors() as doors, serve(access=doors.access, checks={"worker": stalled}) as running:
        for key, told in ((None, "failing"), ("wrong", "failing"), (doors.key("read"), await stalled())):
            health = await answer(running, "GET", "/healthz", key)
            assert (health.status_code, health.json()["checks"]) == (503, {"log": "ok", "worker": told})


async def test_while_nobody_can_tell_nobody_is_let_in_and_nobody_waits_for_the_others(serve, doors, monkeypatch):
    async with doors() as doors, serve(access=doors.access) as running:
        key, n_looks = doors.key("read"), []
        assert (await answer(running, "GET", "/v1/sites", key)).status_code == 200

        def stuck():
            n_looks.append(1)
            doors.later(10)  # of waiting for the database
            raise Overloaded("the access database does not answer: locked")

        with monkeypatch.context() as broken:
            broken.setattr(AccessStore, "standing_keys", lambda _: stuck())
            doors.later(1)
            told = await asyncio.gather(*(answer(running, "GET", "/v1/sites", key) for _ in range(20)))
            assert {one.status_code for one in told} == {503}
            assert len(n_looks) == 1
        doors.later(1)
        assert (await answer(running, "GET", "/v1/sites", key)).status_code == 200


async def test_the_use_of_a_key_is_noted_once_an_hour(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        key, began = doors.key("read"), doors.now[0]

        async def noted():
            await answer(running, "GET", "/v1/sites", key)
            (record,) = doors.store.all_keys()
            return record.used_at - began

        found = []
        for seconds in (0, 3599, 1):
            doors.later(seconds)
            found.append(await noted())
        assert found == [0, 0, 3_600_000_000]


async def test_the_client_shows_its_key(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        client = Client("http://twin", site="lot", http=running.http, key=doors.key("read"))
        assert (await client.state()).site == "lot"
        stranger = Client("http://twin", site="lot", http=running.http).subscribe("billing")
        with pytest.raises(ServiceError, match="401: this needs a key"):
            await anext(stranger)


async def test_descriptions_name_the_sites_that_the_asker_may_know_of_alone(serve, doors):
    async with doors() as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        for path in ("/openapi.json", "/asyncapi.json"):
            for key, knows in ((None, False), (doors.key("read", sites=("elsewhere",)), False), (doors.key("read"), True)):
                told = await answer(running, "GET", path, key)
                assert told.status_code == 200
                assert ('"lot"' in told.text) == knows, (path, key)


async def test_who_only_reads_takes_from_no_subscription_of_another_consumer(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        path = "/v1/sites/lot/subscriptions/bills"
        billing, renewed, board = (doors.key("read", name=name) for name in ("billing", "billing", "board"))

        async def ask(method, path, key, body=None):
            headers = {"authorization": f"Bearer {key}"}
            return (await running.http.request(method, path, headers=headers, json=body or {})).status_code

        assert await ask("PUT", path, billing) == 200
        assert await ask("POST", f"{path}/lease", billing) == 200
        for method, where, body in (
            ("PUT", path, {"types": ["camera.state.v1"]}),
            ("POST", f"{path}/lease", {}),
            ("POST", f"{path}/acknowledge", {"lease": 1, "positions": []}),
        ):
            assert await ask(method, where, board, body) == 403, where
        assert await ask("POST", f"{path}/lease", renewed) == 200
        assert await ask("POST", f"{path}/lease", doors.key("operate")) == 403  # it does not read
        assert await ask("PUT", "/v1/sites/lot/subscriptions/own", board) == 200


async def test_calibrations_and_maps_are_for_admins_by_whichever_way_they_come(serve, doors, lot):
    payload = SiteEdited(version=1, digest="0" * 64, author="x", reason="y")
    event = ObservationEvent(site="lot", key=DeviceKey(device="edge", boot_epoch=1, sequence=1), occurred_at=1, payload=payload)
    async with doors() as doors, serve(access=doors.access) as running:
        for scope, status in (("ingest", 403), ("admin", 200)):
            headers = {"authorization": f"Bearer {doors.key(scope)}", "content-type": "application/x-ndjson"}
            told = await running.http.post("/v1/sites/lot/observations", content=to_json(event), headers=headers)
            assert told.status_code == status, told.text


async def test_a_receivers_whole_address_is_told_to_admins_alone(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        path, url = "/v1/sites/lot/webhooks/chat", "https://127.0.0.1/hooks/secret-part"
        admin, reader = ({"authorization": f"Bearer {doors.key(scope)}"} for scope in ("admin", "read"))
        assert (await running.http.put(path, json={"url": url}, headers=admin)).status_code == 200
        assert (await running.http.get(path, headers=admin)).json()["url"] == url
        assert (await running.http.get(path, headers=reader)).json()["url"] == "https://127.0.0.1/…"


@pytest.mark.parametrize("device", ["operators", "payments", "calibrations", "site-editor", "twin-worker"])
async def test_nobody_outside_sends_as_one_of_the_services_own_desks(serve, device):
    event = ObservationEvent(
        site="lot", key=DeviceKey(device=device, boot_epoch=1, sequence=1), occurred_at=1, payload=LoopTripped(portal="entry")
    )
    async with serve() as running:
        told = await running.http.post(
            "/v1/sites/lot/observations", content=to_json(event), headers={"content-type": "application/x-ndjson"}
        )
        assert (told.status_code, "the twin's own" in told.text) == (422, True)
