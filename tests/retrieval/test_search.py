from __future__ import annotations

import asyncio
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from retrieval import ingest, opened, qdrant
from retrieval.images import MOST_BYTES
from retrieval.index import unit_vector
from twin.errors import Conflict, MissingExtra
from twin.events.ids import SiteId
from twin.events.observations import Attribute, PlateRead

NOON = 1_767_268_800_000_000
SECOND = 1_000_000


@pytest.fixture
async def parade(seen):
    """Four cars drive from west to east, a minute apart, each seen by three cameras: 200 m in 40 s."""
    events = [
        seen.view(f"{colour}-{camera}", colour, camera, 60 * n + offset, shade=offset // 10)
        for n, colour in enumerate(["red", "green", "blue", "white"])
        for camera, offset in (("west", 0), ("middle", 40), ("east", 80))
    ]
    await seen.log.append([*events, seen.tick(400)])
    for event in events:
        tracklet = event.payload.tracklet
        await seen.assign(tracklet, f"v-{tracklet.split('-')[0]}", (event.occurred_at - NOON) / SECOND)
    return seen


async def test_a_picture_finds_its_vehicle_first_with_both_scores_and_links(parade, searching, picture):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        for colour in ("red", "green", "blue", "white"):
            hits = await search.hits(picture(colour))
            best = hits[0]
            assert best["vehicle"] == f"v-{colour}"
            assert best["look"] > hits[1]["look"]
            assert best["probability"] > 0.5 > hits[1]["probability"]
            assert best["score"] > hits[1]["score"]
            assert best["reasons"][0] == f"{best['look']:.2f} look, 3 views of 3 cameras"
            assert best["n_sightings"] == len(best["sightings"]) == 3
        sighting = best["sightings"][0]
        moment = f"/?site=street&at={sighting['at']}&vehicle=v-white"
        assert best["links"] == {"vehicle": "/v1/sites/street/vehicles/v-white", "moment": moment}
        assert sighting["links"] == {
            "moment": moment,
            "more": f"/v1/sites/street/search?tracklet={sighting['tracklet']}",
            "crop": f"/v1/sites/street/crops/{sighting['crop']}",
        }
        likeness = [one["likeness"] for one in best["sightings"]]
        assert likeness == sorted(likeness, reverse=True)
        assert len(hits) == 4


async def test_limit_bounds_the_hits(parade, searching, picture):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        assert len(await search.hits(picture("red"), limit=2)) == 2


async def test_a_form_is_taken_as_well_as_a_bare_picture(parade, searching, picture):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        answer = await search.http.post("/v1/sites/street/search", files={"image": ("car.png", picture("blue"), "image/png")})
        assert answer.json()["hits"][0]["vehicle"] == "v-blue"
        wrong = await search.http.post("/v1/sites/street/search", files={"photo": ("car.png", picture("blue"), "image/png")})
        assert wrong.status_code == 422
        assert "no file 'image', only ['photo']" in wrong.json()["detail"]
        torn = await search.http.post(
            "/v1/sites/street/search", content=b"--x\r\n", headers={"content-type": "multipart/form-data; boundary=y"}
        )
        assert torn.status_code == 422


async def test_several_pictures_of_one_vehicle_are_taken_together(parade, searching, picture):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        files = [("image", (f"{n}.png", picture("blue", shade), "image/png")) for n, shade in enumerate((0, 8))]
        answer = await search.http.post("/v1/sites/street/search", files=files)
        assert answer.json()["hits"][0]["vehicle"] == "v-blue"
        assert [one["size_px"] for one in answer.json()["pictures"]] == [[90, 60], [90, 60]]
        many = [("image", (f"{n}.png", picture("blue"), "image/png")) for n in range(9)]
        assert (await search.http.post("/v1/sites/street/search", files=many)).status_code == 422


async def test_pages_follow_each_other_as_of_one_moment(parade, searching, picture):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        first = (await search.ask(picture("red"), limit=3)).json()
        assert (len(first["hits"]), first["n_found"]) == (3, 4)
        await parade.assign("red-west", "v-new", 900)
        second = (await search.http.post(first["next"], content=picture("red"))).json()
        assert second["next"] is None
        assert second["known_at"] == first["known_at"]
        names = [hit["vehicle"] for hit in first["hits"] + second["hits"]]
        assert sorted(names) == ["v-blue", "v-green", "v-red", "v-white"]


@pytest.mark.parametrize(
    ("query", "vehicles"),
    [
        ({"camera": "west"}, {"v-red", "v-green", "v-blue", "v-white"}),
        ({"until": "2026-01-01T12:00:30Z"}, {"v-red"}),
        ({"from": "2026-01-01T12:03:00Z"}, {"v-blue", "v-white"}),
        ({"kind": "van,truck"}, set()),
        ({"kind": "car"}, {"v-red", "v-green", "v-blue", "v-white"}),
        ({"colour": "red"}, set()),
        ({"plate": "ab"}, set()),
    ],
)
async def test_conditions_leave_vehicles_out(parade, searching, picture, query, vehicles):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        answer = (await search.ask(picture("red"), **query)).json()
        assert {hit["vehicle"] for hit in answer["hits"]} == vehicles
        assert answer["n_found"] == len(vehicles)


async def test_a_part_of_a_plate_and_a_colour_find_their_sightings(seen, searching, picture):
    plate = PlateRead(text="M-AB 123", score=0.9)
    colour = Attribute(name="red", score=0.8, model="m@1")
    event = seen.view("t", "red", "west", 0)
    personal = replace(event.payload.personal, plate=plate)
    event = replace(event, payload=replace(event.payload, personal=personal, colour=colour))
    await seen.log.append([event, seen.view("u", "red", "west", 5)])
    await seen.assign("t", "v-plate")
    await seen.assign("u", "v-none", 5)
    async with searching(seen.log, seen.keys) as search:
        await search.caught_up(seen.memory)
        assert [hit["vehicle"] for hit in await search.hits(picture("red"), plate="ab12")] == ["v-plate"]
        assert [hit["vehicle"] for hit in await search.hits(picture("red"), colour="red,blue")] == ["v-plate"]


async def test_a_sighting_of_nobody_is_told_apart(parade, searching, picture):
    await parade.log.append([parade.view("stray", "red", "west", 300)])
    await parade.assign("red-west", "v-red", 301)
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        answer = (await search.ask(picture("red"))).json()
        assert [one["tracklets"] for one in answer["unassigned"]][:1] == [["stray"]]
        assert 0.05 <= answer["unassigned"][0]["probability"] <= 1.0


async def test_only_sightings_up_to_the_time_asked_for_count(parade, searching, picture):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        hits = await search.hits(picture("red"), at="2026-01-01T12:01:00Z")
        assert [hit["vehicle"] for hit in hits] == ["v-red", "v-green"]
        assert {one["camera"] for hit in hits for one in hit["sightings"]} <= {"west", "middle"}


async def test_vehicles_are_named_as_known_then(parade, searching, picture):
    known = (await parade.memory.heads("street")).facts
    fact = await parade.assign("red-west", "v-mistake", 0)
    await parade.assign("red-west", "v-crimson", 0, supersedes=[fact])
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        assert "v-crimson" in {hit["vehicle"] for hit in await search.hits(picture("red"))}
        then = await search.hits(picture("red"), known_at=str(known))
        assert then[0]["vehicle"] == "v-red"
        assert "v-crimson" not in {hit["vehicle"] for hit in then}
        assert await search.hits(picture("red"), known_at="0") == []


async def test_of_two_cars_that_look_the_same_the_one_that_can_have_been_there_comes_first(seen, searching, picture):
    await seen.log.append([seen.view("a", "red", "west", 0), seen.view("b", "red", "east", 0)])
    await seen.assign("a", "v-comes")
    await seen.assign("b", "v-past")
    async with searching(seen.log, seen.keys) as search:
        await search.caught_up(seen.memory)
        hits = await search.hits(picture("red"), near_camera="middle", near_at="2026-01-01T12:00:40Z")
        assert [hit["vehicle"] for hit in hits] == ["v-comes", "v-past"]
        assert hits[0]["look"] == pytest.approx(hits[1]["look"])
        assert hits[0]["reasons"][2].startswith("reachable in 40 s: ")
        assert hits[1]["reasons"][2] == "not reachable: no way between east and middle"


async def test_more_like_a_sighting_leaves_that_sighting_out(parade, searching):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        hits = await search.hits(tracklet="green-middle")
        assert hits[0]["vehicle"] == "v-green"
        assert {one["tracklet"] for one in hits[0]["sightings"]} == {"green-west", "green-east"}
        assert any("reachable in 40 s" in reason for reason in hits[0]["reasons"])
        assert (await search.ask(tracklet="nobody")).status_code == 404


async def test_bad_pictures_are_refused_with_a_reason(parade, searching, picture):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    huge = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    async with searching(parade.log, parade.keys) as search:
        for body, reason in ((b"", "0 bytes"), (b"no picture at all", "no readable"), (huge, "20000 x 10000 pixels")):
            answer = await search.ask(body)
            assert (answer.status_code, answer.json()["type"]) == (422, "urn:twin:problem:image-rejected")
            assert reason in answer.json()["detail"]
        assert (await search.ask(bytes(MOST_BYTES + 200_000))).status_code == 413


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ({"limit": 0}, 422, "limit='0'"),
        ({"limit": "ten"}, 422, "from 1 to 100"),
        ({"near_camera": "attic"}, 422, "there are east, middle, west"),
        ({"near_at": "noon"}, 422, "near_at='noon'"),
        ({"at": "yesterday"}, 422, "at='yesterday'"),
        ({"skip": "-1"}, 422, "from 0 to 1000"),
        ({"camera": "west,attic"}, 422, "camera='attic'"),
        ({"kind": "boat"}, 422, "kind='boat'"),
        ({"colour": "pink"}, 422, "colour='pink'"),
        ({"zone": "roof"}, 422, "there are first, second, third"),
        ({"plate": "--"}, 422, "no letter or digit"),
        ({"plate": "A" * 17}, 422, "has 17 characters"),
        ({"from": "2026-01-01T12:00:00Z", "until": "2026-01-01T11:00:00Z"}, 409, "is before from="),
        ({"crop": "some"}, 422, "crop='some'"),
        ({"colour_of": "red"}, 422, "search knows no parameter 'colour_of'"),
        ({"known_at": "999"}, 404, "beyond the fact log's head"),
    ],
)
async def test_bad_parameters_are_refused_with_their_values(parade, searching, picture, query, status, reason):
    async with searching(parade.log, parade.keys) as search:
        answer = await search.ask(picture("red"), **query)
        assert answer.status_code == status
        assert reason in answer.json()["detail"]


async def test_a_site_or_a_sighting_must_be_named(parade, searching):
    async with searching(parade.log, parade.keys) as search:
        assert (await search.http.post("/v1/sites/moon/search", content=b"x")).status_code == 404
        assert (await search.ask()).status_code == 422


async def test_an_empty_index_has_no_hits(seen, searching, picture):
    async with searching(seen.log, seen.keys) as search:
        assert await search.hits(picture("red")) == []


async def test_views_of_another_embedder_are_named_and_not_compared(seen, searching, picture):
    await seen.log.append([seen.view("t", "red", "west", 0, embedder="osnet@3")])
    async with searching(seen.log, seen.keys) as search:
        await search.caught_up(seen.memory)
        answer = await search.ask(picture("red"))
        assert answer.status_code == 409
        assert "'colour-128@1' here, but the index holds views by 'osnet@3'" in answer.json()["detail"]


def n_seen(hit):
    """How many sightings the reasons tell of."""
    return sum(int(word) for word in hit["reasons"][-1].split() if word.isdigit())


async def test_a_restart_goes_on_at_the_cursor_and_a_replay_does_not_double(parade, searching, picture, tmp_path):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        assert await search.cursor() == 13
        before = await search.hits(picture("red"))
    await parade.log.append([parade.view("late", "red", "east", 500)])
    await parade.assign("late", "v-red", 500)
    async with searching(parade.log, parade.keys) as search:
        assert await search.cursor() == 13
        await search.caught_up(parade.memory)
        after = await search.hits(picture("red"))
    assert [n_seen(hits[0]) for hits in (before, after)] == [3, 4]
    (tmp_path / "search" / "street" / "index.json").unlink()  # a crash before the cursor was durable
    async with searching(parade.log, parade.keys) as search:
        assert await search.cursor() == 0
        await search.caught_up(parade.memory)
        assert await search.hits(picture("red")) == after


async def test_on_a_full_disk_the_index_waits_and_goes_on_when_there_is_room(parade, searching, picture, monkeypatch, caplog):
    monkeypatch.setattr(ingest, "ROOM_EVERY_S", 0.01)
    monkeypatch.setattr(qdrant, "LEAST_ROOM", 2**62)
    async with searching(parade.log, parade.keys) as search:
        following = asyncio.create_task(search.parts.follow("street"))
        async with asyncio.timeout(10):
            while "image search of site street waits at position 0" not in caplog.text:  # noqa: ASYNC110  there is no such event
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        assert (following.done(), await search.cursor(), len(caplog.messages)) == (False, 0, 1)
        monkeypatch.setattr(qdrant, "LEAST_ROOM", 0)
        async with asyncio.timeout(10):
            while await search.cursor() == 0:  # noqa: ASYNC110  nor this
                await asyncio.sleep(0.005)
        following.cancel()
        assert (await search.hits(picture("red")))[0]["vehicle"] == "v-red"


async def test_an_erased_tracklet_is_neither_taken_in_nor_kept(parade, searching, picture):
    await parade.keys.destroy("street", "red-west")
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        assert (await search.ask(tracklet="red-west")).status_code == 404
        assert (await search.ask(tracklet="red-east")).status_code == 200
        await parade.keys.destroy("street", "red-east")
        await search.parts.forget("street", "red-east")
        assert (await search.ask(tracklet="red-east")).status_code == 404


async def test_an_index_of_another_log_is_not_followed(parade, seen, searching):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
    other = type(seen)()
    async with searching(other.log, other.keys) as search:
        with pytest.raises(Conflict, match="made from another log"):
            await search.parts.follow("street")


async def test_following_ends_when_the_log_closes(parade, searching):
    async with searching(parade.log, parade.keys) as search:
        await search.caught_up(parade.memory)
        await parade.memory.aclose()
        await search.parts.follow("street")


async def test_without_the_extra_the_service_runs_and_search_says_what_to_install(parade, searching, picture, monkeypatch):
    monkeypatch.setattr(opened, "find_spec", lambda name: None)
    async with searching(parade.log, parade.keys) as search:
        answer = await search.ask(picture("red"))
        assert answer.status_code == 501
        assert "spatial-twin[search]" in answer.json()["detail"]
    with pytest.raises(MissingExtra):
        await opened.open_index(Path(), SiteId("street"))


def test_the_probe_of_a_stored_crop_is_its_stored_vector(picture):
    """What a camera embeds and what a search embeds are compared as equals."""
    from perception.embed import ColourEmbedder
    from retrieval.decoding import decoded

    width, height, pixels = decoded(picture("red"))
    image = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    original = np.asarray(Image.open(io.BytesIO(picture("red"))))[:, :, ::-1]
    embed = ColourEmbedder().embed
    np.testing.assert_array_equal(unit_vector(embed(image)), unit_vector(embed(np.ascontiguousarray(original))))
