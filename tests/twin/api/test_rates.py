"""How much one key, or one address, may ask for."""

import asyncio

import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from twin.feeds.hub import Limits


async def search(request):
    return JSONResponse({})


search.scope = "search"
SEARCH = [Route("/v1/sites/{site}/search", search)]


async def status(running, key, path="/v1/sites"):
    return (await running.http.get(path, headers={"authorization": f"Bearer {key}"})).status_code


async def test_one_key_that_asks_too_often_is_told_when_to_ask_again_and_others_are_not_concerned(serve, doors):
    async with doors(reads_per_s=3) as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        greedy, other = doors.key(), doors.key()
        for _ in range(20):
            told = await running.http.get("/v1/sites", headers={"authorization": f"Bearer {greedy}"})
            if told.status_code == 429:
                break
        assert (told.status_code, told.headers["content-type"]) == (429, "application/problem+json")
        assert told.headers["retry-after"] == "1"
        assert await status(running, greedy, "/v1/sites/lot/search") == 200
        assert await status(running, other) == 200


async def test_connections_to_the_live_feed_are_counted_with_reads(serve, doors, listen):
    async with doors(reads_per_s=2) as doors, serve(access=doors.access) as running, listen(running.app) as address:
        shown = {"authorization": f"Bearer {doors.key()}"}

        async def watch():
            try:
                async with connect(f"ws://{address}/v1/sites/lot/live", additional_headers=shown) as watcher:
                    await watcher.recv()
            except InvalidStatus as refusal:
                return refusal.response.status_code, refusal.response.headers["retry-after"]

        assert (429, "1") in await asyncio.gather(*(watch() for _ in range(12)))


async def test_searches_are_counted_by_themselves(serve, doors):
    async with doors(searches_per_s=1) as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        key = doors.key()
        found = [await status(running, key, "/v1/sites/lot/search") for _ in range(5)]
        assert 429 in found
        assert await status(running, key) == 200


async def test_observations_are_counted_by_their_bytes_declared_or_not(serve, doors):
    async with doors(ingest_bytes_per_s=1_000) as doors, serve(access=doors.access) as running:

        async def chunks():
            for _ in range(3):
                yield b"\n" * 2_000

        for content, left in ((lambda: b"\n" * 6_000, 200), (chunks, 429)):  # of what is refused midway, that much was read
            shown = {"authorization": f"Bearer {doors.key('ingest')}"}
            url = "/v1/sites/lot/observations"
            assert (await running.http.post(url, content=content(), headers=shown)).status_code == 200
            assert (await running.http.post(url, content=content(), headers=shown)).status_code == 429
            assert (await running.http.post(url, content=b"\n" * 100, headers=shown)).status_code == left


async def test_what_is_sent_is_counted_by_requests_too_also_when_it_is_empty(serve, doors):
    # 1 a second over 10 s: ten at once, as after a time without a network, and then no more.
    async with doors(sends_per_s=1, ingest_bytes_per_s=10**6) as doors, serve(access=doors.access) as running:
        for path, method in (("observations", "POST"), ("payments", "POST"), ("cameras/left/picture", "PUT")):
            shown = {"authorization": f"Bearer {doors.key('ingest')}"}
            told = [await running.http.request(method, f"/v1/sites/lot/{path}", headers=shown) for _ in range(11)]
            assert 429 not in [one.status_code for one in told[:10]], path
            assert told[10].status_code == 429, path
            assert "more than 10 requests that send" in told[10].json()["detail"]
            assert 1 <= int(told[10].headers["retry-after"]) <= 10
        assert await status(running, doors.key()) == 200


async def test_a_key_that_only_reads_has_a_share_of_the_subscriptions_and_deletes_its_own(serve, doors, monkeypatch):
    monkeypatch.setattr("twin.api.subscriptions.MOST_OF_ONE", 2)
    async with doors() as doors, serve(access=doors.access) as running:

        async def ask(method, name, key):
            shown = {"authorization": f"Bearer {key}"}
            body = {"json": {}} if method == "PUT" else {}
            return await running.http.request(method, f"/v1/sites/lot/subscriptions/{name}", headers=shown, **body)

        greedy, other = doors.key("read", name="greedy"), doors.key("read", name="other")
        operator = doors.key("read", "operate", name="operator")
        assert [(await ask("PUT", name, greedy)).status_code for name in ("a", "b", "c")] == [200, 200, 409]
        assert (
            "has 2 subscriptions at site 'lot', the most of one key; delete one of them first, such as 'a'"
            in (await ask("PUT", "c", greedy)).json()["detail"]
        )
        assert (await ask("PUT", "a", greedy)).status_code == 200  # what it has may be put again
        assert [(await ask("PUT", name, operator)).status_code for name in ("x", "y", "z")] == [200] * 3
        assert (await ask("PUT", "d", other)).status_code == 200
        for theirs in ("d", "x", "nobodys"):
            assert (await ask("DELETE", theirs, greedy)).status_code == 403
        assert (await ask("DELETE", "a", greedy)).status_code == 204
        assert (await ask("PUT", "c", greedy)).status_code == 200
        assert (await ask("DELETE", "d", operator)).status_code == 204


async def test_a_key_that_has_its_share_of_the_live_feed_is_told_so(serve, doors, listen):
    async with (
        doors() as doors,
        serve(access=doors.access, live=Limits(n_clients_each=1)) as running,
        listen(running.app) as address,
    ):
        url, shown = f"ws://{address}/v1/sites/lot/live", {"authorization": f"Bearer {doors.key()}"}
        async with connect(url, additional_headers=shown) as watcher:
            await watcher.recv()
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, additional_headers=shown)
            assert refused.value.response.status_code == 429
            assert int(refused.value.response.headers["retry-after"]) == 10
            async with connect(url, additional_headers={"authorization": f"Bearer {doors.key()}"}) as another:
                await another.recv()


async def test_an_address_that_shows_wrong_keys_is_told_to_wait_and_right_keys_from_there_go_on(serve, doors):
    async with doors(failures_per_minute=3) as doors, serve(access=doors.access) as running:
        right = doors.key()
        assert [await status(running, "wrong") for _ in range(4)] == [401, 401, 401, 429]
        assert await status(running, right) == 200
        told = await running.http.post("/v1/session", json={"key": "wrong"})
        assert (told.status_code, told.headers["retry-after"].isdigit()) == (429, True)
        for page in ("/", "/v1/session"):  # where nothing is asked for but who it is
            assert await status(running, "wrong", page) == 429
        assert (await running.http.get("/v1/sites")).status_code == 401  # nothing was shown
