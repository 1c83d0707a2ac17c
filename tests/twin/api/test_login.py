"""Browsers: logging in and out, the cookie, tickets for WebSockets."""

import asyncio

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from twin.access.sessions import COOKIE, BrowserSessions
from twin.access.tickets import LASTS_S

OWN = {"origin": "http://twin"}


async def log_in(running, key):
    return await running.http.post("/v1/session", json={"key": key}, headers=OWN)


async def test_pages_lead_to_the_login_and_back(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        for page, asked in (("/", "/"), ("/explore?site=lot&kind=car", "/explore?site=lot&kind=car")):
            sent = await running.http.get(page)
            assert sent.status_code == 303
            assert httpx2.URL(sent.headers["location"]).params["next"] == asked
        login = await running.http.get("/login")
        assert (login.status_code, login.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert (await log_in(running, doors.key("read"))).status_code == 204
        assert (await running.http.get("/explore")).status_code == 200


async def test_a_cookie_stands_for_the_key_without_its_secret_and_scripts_cannot_read_it(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        key = doors.key("read")
        told = (await log_in(running, key)).headers["set-cookie"]
        _, number, secret = key.split("_", 2)
        assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=3600"} <= set(told.split("; "))
        assert secret not in told
        assert (await running.http.get("/v1/sites")).json() == {"sites": ["lot"]}
        who = (await running.http.get("/v1/session")).json()
        assert who == {"is_open": False, "key": number, "name": "a test", "sites": ["lot"], "scopes": ["read"]}
        over_tls = await running.http.post("https://twin/v1/session", json={"key": key}, headers={"origin": "https://twin"})
        assert "Secure" in over_tls.headers["set-cookie"].split("; ")
        assert "Secure" not in told.split("; ")


@pytest.mark.parametrize("key", ["nonsense", "twin_0123456789ab_" + "A" * 43])
async def test_a_wrong_key_logs_nobody_in(serve, doors, key):
    async with doors() as doors, serve(access=doors.access) as running:
        told = await log_in(running, key)
        assert (told.status_code, "set-cookie" in told.headers) == (401, False)
        assert (await running.http.get("/v1/session", headers={"authorization": f"Bearer {key}"})).status_code == 401
        assert (await running.http.post("/v1/session", content=b"{}", headers=OWN)).status_code == 422
        assert (await log_in(running, "k" * 5_000)).status_code == 422


async def test_who_has_no_key_is_nobody_and_no_error(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        told = await running.http.get("/v1/session")
        assert told.status_code == 200
        assert told.json() == {"is_open": False, "key": "", "name": "", "sites": [], "scopes": []}


async def test_a_session_ends_with_its_key_with_its_time_and_by_logging_out(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        key = doors.key("read")
        await log_in(running, key)
        doors.revoke(key)
        assert (await running.http.get("/v1/sites")).status_code == 401

        await log_in(running, doors.key("read"))
        doors.later(3599)
        assert (await running.http.get("/v1/sites")).status_code == 200
        doors.later(1)
        assert (await running.http.get("/v1/sites")).status_code == 401

        await log_in(running, doors.key("read"))
        assert (await running.http.delete("/v1/session", headers=OWN)).status_code == 204
        assert (await running.http.get("/v1/sites")).status_code == 401


async def test_a_forged_cookie_is_nobodys(serve, doors, story):
    async with doors() as doors, serve(access=doors.access) as running:
        key = doors.key("admin").split("_")[1]
        right = doors.access.keyed.sessions.issue(key)
        other = BrowserSessions(b"another secret of 32 bytes or more", lambda: story.noon, lasts_s=3600).issue(key)
        for cookie in (right[:-2] + ("AA" if right[-2:] != "AA" else "BB"), other, key, "", f'"{right}', right + right):
            told = await running.http.get("/v1/sites", headers={"cookie": f"{COOKIE}={cookie}"})
            assert told.status_code == 401, cookie
        assert (await running.http.get("/v1/sites", headers={"cookie": f"{COOKIE}={right}"})).status_code == 200


async def test_a_session_writes_from_this_services_pages_alone(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        await log_in(running, doors.key("ingest"))
        for headers, status in ((OWN, 200), ({}, 403), ({"origin": "https://evil.example"}, 403), ({"origin": "null"}, 403)):
            told = await running.http.post("/v1/sites/lot/observations", content=b"", headers=headers)
            assert told.status_code == status, headers


async def test_a_key_that_is_shown_counts_before_a_cookie(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        await log_in(running, doors.key("read"))
        assert (await running.http.get("/v1/sites", headers={"authorization": "Bearer wrong"})).status_code == 401
        other = doors.key("ingest")
        assert (await running.http.get("/v1/sites", headers={"authorization": f"Bearer {other}"})).status_code == 403


async def test_where_access_is_open_nobody_logs_in(serve):
    async with serve() as running:
        assert (await log_in(running, "any")).status_code == 409
        assert (await running.http.get("/v1/session")).json()["is_open"]
        ticket = await running.http.post("/v1/sites/lot/live/tickets")
        assert (ticket.status_code, ticket.json()["type"]) == (409, "urn:twin:problem:conflict")


async def watch(address, query="", **headers):
    try:
        async with connect(f"ws://{address}/v1/sites/lot/live{query}", additional_headers=headers) as watcher:
            await watcher.recv()
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


async def test_a_browser_watches_with_its_cookie_from_this_services_pages_alone(serve, doors, listen):
    async with doors() as doors, serve(access=doors.access) as running, listen(running.app) as address:
        cookie = f"{COOKIE}={doors.access.keyed.sessions.issue(doors.key('read').split('_')[1])}"
        assert await watch(address, cookie=cookie, origin=f"http://{address}") == 101
        assert await watch(address, cookie=cookie, origin="https://evil.example") == 403
        assert await watch(address, cookie=cookie) == 403


async def test_a_connection_ends_with_the_session(serve, doors, listen, monkeypatch):
    monkeypatch.setattr("twin.api.guard.RECHECK_S", 0.02)
    async with doors() as doors, serve(access=doors.access) as running, listen(running.app) as address:
        cookie = f"{COOKIE}={doors.access.keyed.sessions.issue(doors.key('read').split('_')[1])}"
        headers = {"cookie": cookie, "origin": f"http://{address}"}
        async with connect(f"ws://{address}/v1/sites/lot/live", additional_headers=headers) as watcher, asyncio.timeout(5):
            await watcher.recv()
            doors.later(3600)
            await watcher.wait_closed()
        assert watcher.close_code == 1008


async def test_a_ticket_is_for_one_connection_from_anywhere(serve, doors, listen):
    async with doors() as doors, serve(access=doors.access) as running, listen(running.app) as address:
        key = doors.key("read", sites=("*",))

        async def ticket(site="lot"):
            told = await running.http.post(f"/v1/sites/{site}/live/tickets", headers={"authorization": f"Bearer {key}"})
            assert told.status_code == 201
            assert told.json()["lasts_s"] == LASTS_S
            return told.json()["ticket"]

        one = await ticket()
        assert await watch(address, f"?ticket={one}", origin="https://partner.example") == 101
        assert await watch(address, f"?ticket={one}") == 401
        late = await ticket()
        doors.later(LASTS_S)
        assert await watch(address, f"?ticket={late}") == 401
        dead = await ticket()
        doors.revoke(key)
        assert await watch(address, f"?ticket={dead}") == 401
        for wrong in ("", "wrong", "0" * 48):
            assert await watch(address, f"?ticket={wrong}", origin="https://evil.example") == 401


async def test_a_wrong_ticket_is_not_mended_by_a_right_key(serve, doors, listen):
    async with doors() as doors, serve(access=doors.access) as running, listen(running.app) as address:
        assert await watch(address, "?ticket=wrong", authorization=f"Bearer {doors.key('read')}") == 401


async def test_where_access_is_open_a_ticket_opens_nothing_to_another_website(serve, listen):
    async with serve() as running, listen(running.app) as address:
        assert await watch(address, "?ticket=any", origin="https://evil.example") == 403
        assert await watch(address, "?ticket=any") == 101
