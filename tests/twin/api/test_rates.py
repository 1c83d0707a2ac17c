"""How much one key, or one address, may ask for."""

import asyncio

from starlette.responses import JSONResponse
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus


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
