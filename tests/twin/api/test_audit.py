"""Who looked at whom is recorded, or nobody is answered."""

import hashlib

import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route

from twin.api import decisions
from twin.errors import Overloaded, TooLarge

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 20
CROP = hashlib.sha256(JPEG).hexdigest()


async def search(request):
    request.state.n_results = 3
    return JSONResponse({"hits": [1, 2, 3]})


search.scope = "search"
SEARCH = [Route("/v1/sites/{site}/search", search, methods=["GET", "POST"])]

DECISION = {
    "id": "d1", "decision": "set_plate", "author": "Ann", "reason": "seen", "at": "2026-01-01T12:00:00Z", "session": "p1",
    "plate": "B-AB 123",
}  # fmt: skip


async def recorded(running, key, **query):
    told = await running.http.get("/v1/sites/lot/audit", params=query, headers={"authorization": f"Bearer {key}"})
    assert told.status_code == 200
    return told.json()


async def test_searches_decisions_plates_and_crops_are_recorded_without_pictures_and_plates(serve, doors, story):
    events = story.events(story.confirmed(), story.opened())
    async with doors() as doors, serve(events, access=doors.access, extra_routes=SEARCH) as running:
        key, admin = doors.key(), doors.key("admin")
        shown = {"authorization": f"Bearer {key}"}
        await running.http.put(f"/v1/sites/lot/crops/{CROP}?tracklet=t1", content=JPEG, headers=shown)
        await running.http.get("/v1/sites/lot/search", params={"plate": "AB 123", "colour": "red"}, headers=shown)
        await running.http.get(f"/v1/sites/lot/crops/{CROP}", headers=shown)
        assert (await running.http.post("/v1/sites/lot/decisions", json=DECISION, headers=shown)).status_code == 200
        await running.http.get("/v1/sites/lot/state", headers=shown)
        entries = (await recorded(running, admin))["entries"]
        assert [(one["action"], one["subject"], one["n_results"]) for one in entries] == [
            ("search", "search by colour, plate", 3),
            ("crop", f"crops/{CROP}", None),
            ("decision", "set_plate of p1, decision d1", None),
        ]
        assert {(one["key"], one["name"], one["address"]) for one in entries} == {(key.split("_")[1], "a test", "127.0.0.1")}
        assert all("123" not in str(one["subject"]) for one in entries)


async def test_what_cannot_be_recorded_is_not_answered_and_decides_nothing(serve, doors, monkeypatch):
    async with doors() as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        shown = {"authorization": f"Bearer {doors.key()}"}
        await running.http.put(f"/v1/sites/lot/crops/{CROP}?tracklet=t1", content=JPEG, headers=shown)

        def full(entries):
            raise Overloaded("the disk is full")

        monkeypatch.setattr(doors.access.audit, "_append", full)
        for told in (
            await running.http.get("/v1/sites/lot/search", headers=shown),
            await running.http.get(f"/v1/sites/lot/crops/{CROP}", headers=shown),
            await running.http.post("/v1/sites/lot/decisions", json=DECISION, headers=shown),
        ):
            assert (told.status_code, told.headers["content-type"]) == (503, "application/problem+json")
            assert told.headers["retry-after"] == "1"
        assert (await running.log.heads("lot")).observations == 0


async def test_the_record_is_read_in_pages_each_site_its_own(serve, doors):
    async with doors() as doors, serve(access=doors.access, extra_routes=SEARCH) as running:
        key, admin = doors.key("search"), doors.key("admin")
        for _ in range(5):
            await running.http.get("/v1/sites/lot/search", headers={"authorization": f"Bearer {key}"})
        first = await recorded(running, admin, limit=3)
        rest = await recorded(running, admin, limit=3, after=first["next"])
        numbers = [int(one["number"]) for page in (first, rest) for one in page["entries"]]
        assert (len(first["entries"]), len(numbers), "next" in rest) == (3, 5, False)
        assert numbers == sorted(set(numbers))
        assert await doors.access.audit.page("elsewhere", after=0, limit=10) == []


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "after=x"])
async def test_a_page_that_cannot_be_is_refused(serve, doors, query):
    async with doors() as doors, serve(access=doors.access) as running:
        shown = {"authorization": f"Bearer {doors.key('admin')}"}
        assert (await running.http.get(f"/v1/sites/lot/audit?{query}", headers=shown)).status_code == 422


async def test_a_look_for_a_plate_is_recorded_though_it_fails_and_counts_as_a_search(serve, doors, monkeypatch):
    async def fails(*_):
        raise TooLarge("too many stays")

    monkeypatch.setattr(decisions, "stays_with", fails)
    async with doors(searches_per_s=1) as doors, serve(access=doors.access) as running:
        shown = {"authorization": f"Bearer {doors.key()}"}
        asked = [await running.http.get("/v1/sites/lot/plates", params={"plate": "B-AB 123"}, headers=shown) for _ in range(5)]
        found = [one.status_code for one in asked]
        assert (found[0], found[-1], set(found)) == (413, 429, {413, 429})
        entries = (await recorded(running, doors.key("admin")))["entries"]
        assert [(one["action"], one["subject"]) for one in entries] == [("plate", "plates by plate")] * found.count(413)
