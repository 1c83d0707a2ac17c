"""What is of the server's adapter alone; that it is an index says the contract suite. No server is here: see its docstring."""

from __future__ import annotations

import json
from uuid import UUID

import httpx
import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient

from retrieval.index import Point, Sighting, Where
from retrieval.opened import QdrantServer, open_index
from retrieval.qdrant_server import QdrantServerIndex, ServerOptions
from twin.errors import BadInput, Conflict, LogClosed, Overloaded

LOCAL = ServerOptions(is_local=True)


def a_point(number, vector=(1.0, 0.0), site="lot", embedder="colour@1"):
    sighting = Sighting(site=site, camera="north", tracklet="t1", at=number, kind="car", quality=0.5, embedder=embedder)
    return Point(id=UUID(int=number), vector=np.asarray(vector, np.float32), sighting=sighting)


def a_client(folder):
    return AsyncQdrantClient(path=str(folder))


async def test_sites_share_collections_and_see_only_their_own(tmp_path):
    client = a_client(tmp_path)
    lot, yard = [await QdrantServerIndex.open(client, site, LOCAL) for site in ("lot", "yard")]
    await lot.upsert([a_point(1), a_point(2)], cursor=7)
    await yard.upsert([a_point(3, site="yard")], cursor=9)
    assert [(await one.count(), await one.cursor()) for one in (lot, yard)] == [(2, 7), (1, 9)]
    assert len((await client.get_collections()).collections) == 2
    assert await yard.delete("t1") == 1
    assert await lot.count() == 2
    assert [one.sighting.site for one in await lot.search("colour@1", np.array([1, 0]), limit=9, where=Where())] == ["lot"] * 2
    await client.close()


async def test_another_process_goes_on_where_the_last_stopped(tmp_path):
    first = await QdrantServerIndex.open(a_client(tmp_path), "lot", LOCAL)
    await first.upsert([a_point(1), a_point(2, (1.0, 0.0, 0.0))], cursor=7)
    await first.aclose()
    with pytest.raises(LogClosed):
        await first.count()
    second = await QdrantServerIndex.open(a_client(tmp_path), "lot", LOCAL)
    assert (await second.count(), await second.cursor()) == (2, 7)
    with pytest.raises(Conflict, match="cursor 6 is behind the search index's 7"):
        await second.upsert([], cursor=6)
    await second.aclose()


async def test_a_generation_is_filled_beside_the_one_that_answers_and_takes_its_place_at_once(tmp_path):
    client = a_client(tmp_path)
    old = await QdrantServerIndex.open(client, "lot", LOCAL)
    await old.upsert([a_point(1, embedder="osnet@1"), a_point(2)], cursor=2)
    new = await QdrantServerIndex.open(client, "lot", LOCAL, generation=2)
    await new.upsert([a_point(5, embedder="osnet@2"), a_point(2)], cursor=5)
    answering = await QdrantServerIndex.open(client, "lot", LOCAL)
    assert (await answering.embedders(), await answering.cursor()) == ({"colour@1": 1, "osnet@1": 1}, 2)
    await new.publish()
    assert (await answering.embedders(), await answering.cursor()) == ({"colour@1": 1, "osnet@2": 1}, 5)
    assert [one.id.int for one in await answering.points_of("t1")] == [2, 5]
    await client.close()


class Recorded(httpx.AsyncBaseTransport):
    """A server that has nothing, agrees to everything, and is asked what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content or "{}")
        self.asked.append((request.method, request.url.path, body))
        result: object = True
        if request.url.path.endswith("/exists"):
            result = {"exists": False}
        elif request.url.path == "/aliases":
            result = {"aliases": []}
        elif request.url.path.endswith("/shards") and request.method == "GET":
            result = {"shard_keys": []}
        elif request.url.path.endswith("/points") and request.method == "POST":
            result = []
        elif request.url.path.endswith(("/points", "/index")):
            result = {"operation_id": 1, "status": "completed"}
        return httpx.Response(200, json={"result": result, "status": "ok", "time": 0.0})


async def test_a_cluster_is_asked_for_a_shard_a_site_with_copies_and_indexes_and_the_cursor_comes_last():
    recorded = Recorded()
    client = AsyncQdrantClient("http://qdrant:6333", check_compatibility=False, transport=recorded)
    index = await QdrantServerIndex.open(client, "lot", ServerOptions(replication_factor=3, write_consistency_factor=2))
    recorded.asked.clear()
    await index.upsert([a_point(1)], cursor=4)
    await index.aclose()
    made = [body for method, path, body in recorded.asked if method == "PUT" and path.count("/") == 2]
    assert [(one["sharding_method"], one["replication_factor"], one["write_consistency_factor"]) for one in made] == [
        ("custom", 3, 2)
    ]
    assert made[0]["quantization_config"]["scalar"]["type"] == "int8"
    indexed = [body["field_name"] for _, path, body in recorded.asked if path.endswith("/index")]
    assert sorted(indexed) == ["at", "camera", "colour", "kind", "plate_key", "site", "tracklet"]
    assert [body["shard_key"] for method, path, body in recorded.asked if path.endswith("/shards") and body] == ["lot"]
    written = [(path, body) for method, path, body in recorded.asked if method == "PUT" and path.endswith("/points")]
    assert [path.split("/")[2].split("-")[1] for path, _ in written] == ["meta", "colour", "meta"]
    assert [body["points"][0]["payload"].get("cursor") for _, body in written] == [0, None, 4]
    assert {body["shard_key"] for _, body in written} == {"lot"}


class Answering(httpx.AsyncBaseTransport):
    def __init__(self, status: int) -> None:
        self.status = status

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(self.status, json={"status": {"error": "no"}})


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [(503, Overloaded, "answers 503"), (401, BadInput, "TWIN_QDRANT_API_KEY"), (404, BadInput, "refuses with 404")],
)
async def test_what_the_server_refuses_is_told_in_our_words(status, error, reason):
    client = AsyncQdrantClient("http://qdrant:6333", check_compatibility=False, transport=Answering(status))
    with pytest.raises(error, match=reason):
        await QdrantServerIndex.open(client, "lot")


async def test_a_server_that_is_not_there_is_named_with_its_setting():
    with pytest.raises(Overloaded, match=r"cannot be reached: .*TWIN_QDRANT_URL"):
        await open_index(QdrantServer(url="http://127.0.0.1:1"), "lot")
