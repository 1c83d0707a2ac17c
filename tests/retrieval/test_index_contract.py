from __future__ import annotations

import shutil
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pytest

from retrieval.index import MOST_SPACES, Point, Sighting, Where, unit_vector
from retrieval.memory import MemoryIndex
from retrieval.qdrant import LEAST_ROOM, STATE_FILE, QdrantIndex
from twin.errors import BadInput, Conflict, LogClosed, QuotaExceeded
from twin.events.ids import CameraId, SiteId, TrackletId


def a_point(number, vector, tracklet="t1", camera="north", at=0, embedder="colour@1"):
    sighting = Sighting(
        site=SiteId("lot"),
        camera=CameraId(camera),
        tracklet=TrackletId(tracklet),
        at=1_767_225_600_000_000 + at,
        kind="car",
        quality=0.5,
        embedder=embedder,
    )
    unit = np.asarray(vector, np.float32)
    return Point(id=UUID(int=number), vector=unit / np.linalg.norm(unit), sighting=sighting)


@pytest.fixture(params=["memory", "qdrant"])
async def index(request, tmp_path):
    opened = MemoryIndex() if request.param == "memory" else await QdrantIndex.open(tmp_path / "lot")
    yield opened
    await opened.aclose()


async def tracklets(index, probe, limit=10, where=Where(), embedder="colour@1"):  # noqa: B008  frozen
    found = await index.search(embedder, np.asarray(probe, np.float32), limit=limit, where=where)
    return [one.sighting.tracklet for one in found]


async def test_a_new_index_is_empty_and_its_cursor_is_zero(index):
    assert await index.count() == 0
    assert await index.cursor() == 0
    assert await tracklets(index, [1, 0]) == []
    assert await index.sightings_of([], limit=5) == []


async def test_the_nearest_come_first_with_their_cosines(index):
    await index.upsert([a_point(1, [1, 0], "east"), a_point(2, [0, 1], "north"), a_point(3, [3, 4], "between")], cursor=3)
    found = await index.search("colour@1", np.array([1, 0], np.float32), limit=10)
    assert [one.sighting.tracklet for one in found] == ["east", "between", "north"]
    assert [one.cosine for one in found] == pytest.approx([1.0, 0.6, 0.0], abs=1e-6)
    assert await tracklets(index, [1, 0], limit=2) == ["east", "between"]


async def test_a_probe_of_any_length_gives_the_same_cosines(index):
    await index.upsert([a_point(1, [3, 4])], cursor=1)
    assert (await index.search("colour@1", np.array([5, 0], np.float32), limit=1))[0].cosine == pytest.approx(0.6, abs=1e-6)


async def test_the_same_point_again_changes_nothing(index):
    assert await index.upsert([a_point(1, [1, 0]), a_point(2, [0, 1])], cursor=2) == 2
    assert await index.upsert([a_point(2, [0, 1])], cursor=2) == 1
    assert await index.count() == 2
    assert await index.cursor() == 2


async def test_the_cursor_moves_without_points(index):
    await index.upsert([], cursor=500)
    assert await index.cursor() == 500


async def test_a_time_bound_includes_its_own_microsecond(index):
    await index.upsert([a_point(1, [1, 0], "early", at=10), a_point(2, [1, 0], "late", at=11)], cursor=2)
    bound = 1_767_225_600_000_010
    assert await tracklets(index, [1, 0], where=Where(until_at=bound)) == ["early"]
    everything = await index.sightings_of(["early", "late"], limit=9, where=Where(until_at=bound))
    assert [one.tracklet for one in everything] == ["early"]


async def test_a_tracklet_can_be_left_out(index):
    await index.upsert([a_point(1, [1, 0], "mine"), a_point(2, [1, 1], "other")], cursor=2)
    assert await tracklets(index, [1, 0], where=Where(except_tracklet=TrackletId("mine"))) == ["other"]


async def test_other_embedders_and_other_lengths_are_never_compared(index):
    await index.upsert([a_point(1, [1, 0]), a_point(2, [1, 0, 0], "long"), a_point(3, [1, 0], "b", embedder="b@2")], cursor=3)
    assert await tracklets(index, [1, 0]) == ["t1"]
    assert await tracklets(index, [1, 0, 0]) == ["long"]
    assert await index.embedders() == {"b@2": 1, "colour@1": 2}


async def test_points_of_a_tracklet_come_back_as_they_were_kept(index):
    kept = [a_point(2, [3, 4], at=5), a_point(1, [1, 0], at=2)]
    await index.upsert([*kept, a_point(3, [0, 1], "other")], cursor=3)
    found = await index.points_of(TrackletId("t1"))
    assert [(one.id, one.sighting) for one in found] == [(one.id, one.sighting) for one in reversed(kept)]
    np.testing.assert_allclose(found[1].vector, [0.6, 0.8], atol=1e-6)


async def test_sightings_are_bounded_and_in_order_of_time(index):
    await index.upsert([a_point(n, [1, n], f"t{n % 2}", at=-n) for n in range(1, 21)], cursor=20)
    found = await index.sightings_of(["t0", "t1"], limit=100)
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert len(found) == 20
    assert len(await index.sightings_of(["t0", "t1"], limit=7)) == 7


async def test_a_deleted_tracklet_is_nowhere_any_more(index):
    await index.upsert([a_point(1, [1, 0]), a_point(2, [1, 0]), a_point(3, [1, 0], "other")], cursor=3)
    assert await index.delete(TrackletId("t1")) == 2
    assert await index.delete(TrackletId("t1")) == 0
    assert await tracklets(index, [1, 0]) == ["other"]
    assert await index.points_of(TrackletId("t1")) == []


async def test_no_name_from_outside_makes_more_spaces_than_there_is_room_for(index):
    points = [a_point(n, [1, 0], f"t{n}", embedder=f"e{n}") for n in range(MOST_SPACES + 3)]
    assert await index.upsert(points, cursor=1) == MOST_SPACES
    assert await index.upsert([a_point(90, [1, 0], embedder="e0"), a_point(91, [1, 0], embedder="new")], cursor=2) == 1
    assert len(await index.embedders()) == MOST_SPACES


async def test_a_restart_finds_points_and_cursor(tmp_path):
    first = await QdrantIndex.open(tmp_path / "lot")
    await first.upsert([a_point(1, [1, 0]), a_point(2, [1, 0, 0], "long")], cursor=7)
    await first.aclose()
    second = await QdrantIndex.open(tmp_path / "lot")
    assert (await second.count(), await second.cursor()) == (2, 7)
    assert await tracklets(second, [1, 0, 0]) == ["long"]
    await second.aclose()


async def test_points_whose_cursor_was_lost_in_a_crash_are_kept_once(tmp_path):
    first = await QdrantIndex.open(tmp_path / "lot")
    await first.upsert([a_point(1, [1, 0])], cursor=1)
    await first.aclose()
    (tmp_path / "lot" / STATE_FILE).unlink()  # the points were flushed, the cursor was not
    second = await QdrantIndex.open(tmp_path / "lot")
    assert await second.cursor() == 0
    await second.upsert([a_point(1, [1, 0])], cursor=1)
    assert await second.count() == 1
    await second.aclose()


async def test_the_cursor_never_moves_back(tmp_path):
    index = await QdrantIndex.open(tmp_path / "lot")
    await index.upsert([], cursor=7)
    with pytest.raises(Conflict, match="cursor 6 is behind the search index's 7"):
        await index.upsert([], cursor=6)
    await index.aclose()


async def test_a_damaged_index_says_what_to_delete(tmp_path):
    folder = tmp_path / "lot"
    folder.mkdir()
    (folder / STATE_FILE).write_text('{"schema":"twin.search/9"}')
    with pytest.raises(BadInput, match=r"has schema 'twin\.search/9'"):
        await QdrantIndex.open(folder)
    (folder / STATE_FILE).write_text("{")
    with pytest.raises(BadInput, match=r"delete '.*lot'"):
        await QdrantIndex.open(folder)
    (folder / STATE_FILE).write_text('{"shards":[{"embedder":"e","n_components":2,"folder":"gone"}]}')
    with pytest.raises(BadInput, match="embedder 'e' cannot be opened"):
        await QdrantIndex.open(folder)


async def test_a_closed_index_says_so(tmp_path):
    index = await QdrantIndex.open(tmp_path / "lot")
    await index.aclose()
    await index.aclose()
    with pytest.raises(LogClosed, match="is closed"):
        await index.count()


def test_an_embedding_of_zeros_has_no_direction():
    assert unit_vector(b"") is None
    assert unit_vector(bytes(8)) is None


async def test_a_full_disk_is_told_before_a_shard_writes_to_it(tmp_path, monkeypatch):
    index = await QdrantIndex.open(tmp_path / "lot")
    await index.upsert([a_point(1, [1, 0])], cursor=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=LEAST_ROOM - 1))
    with pytest.raises(QuotaExceeded, match=r"lot' has 64 MiB left, and image search needs 64"):
        await index.upsert([a_point(2, [1, 0])], cursor=2)
    assert (await index.count(), await index.cursor()) == (1, 1)
    await index.aclose()
    with pytest.raises(QuotaExceeded, match="make room"):
        await QdrantIndex.open(tmp_path / "lot")
    monkeypatch.undo()
    again = await QdrantIndex.open(tmp_path / "lot")
    assert await again.upsert([a_point(2, [1, 0])], cursor=2) == 1
    await again.aclose()
