from __future__ import annotations

import shutil
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pytest
import qdrant_edge as qdrant
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient

from retrieval.index import Point, Sighting, Where, unit_vector
from retrieval.memory import MemoryIndex
from retrieval.qdrant import LEAST_ROOM, STATE_FILE, QdrantIndex
from retrieval.qdrant_filter import INDEXED
from retrieval.qdrant_server import QdrantServerIndex, ServerOptions
from twin.errors import BadInput, Conflict, LogClosed, QuotaExceeded
from twin.events.ids import CameraId, SiteId, TrackletId

START = 1_767_225_600_000_000


def a_point(number, vector, tracklet="t1", camera="north", at=0, embedder="colour@1", **given):
    sighting = Sighting(
        site=SiteId("lot"),
        camera=CameraId(camera),
        tracklet=TrackletId(tracklet),
        at=START + at,
        quality=0.5,
        embedder=embedder,
        **({"kind": "car"} | given),
    )
    unit = np.asarray(vector, np.float32)
    return Point(id=UUID(int=number), vector=unit / np.linalg.norm(unit), sighting=sighting)


@pytest.fixture(params=["memory", "qdrant", "qdrant server"])
async def index(request, tmp_path):
    if request.param == "memory":
        opened = MemoryIndex()
    elif request.param == "qdrant":
        opened = await QdrantIndex.open(tmp_path / "lot")
    else:
        opened = await QdrantServerIndex.open(AsyncQdrantClient(":memory:"), SiteId("lot"), ServerOptions(is_local=True))
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


async def test_the_nearest_are_told_by_their_names_too_and_what_those_are(index):
    await index.upsert([a_point(1, [1, 0], "east"), a_point(2, [0, 1], "north"), a_point(3, [3, 4], "between")], cursor=3)
    near = await index.nearest("colour@1", np.array([1, 0], np.float32), limit=2)
    assert [name.int for name, _ in near] == [1, 3]
    assert [cosine for _, cosine in near] == pytest.approx([1.0, 0.6], abs=1e-6)
    where = Where(tracklets=("north",))
    assert [name.int for name, _ in await index.nearest("colour@1", np.array([1, 0], np.float32), limit=2, where=where)] == [2]
    assert await index.nearest("other@1", np.array([1, 0], np.float32), limit=2) == []
    found = await index.sightings([UUID(int=2), UUID(int=3), UUID(int=9)])
    assert {name.int: one.tracklet for name, one in found.items()} == {2: "north", 3: "between"}
    assert await index.sightings([]) == {}


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


async def test_a_time_span_includes_both_its_ends(index):
    await index.upsert([a_point(n, [1, n], f"t{n}", at=n) for n in range(1, 6)], cursor=5)
    assert await tracklets(index, [1, 0], where=Where(from_at=START + 2, until_at=START + 4)) == ["t2", "t3", "t4"]
    assert await tracklets(index, [1, 0], where=Where(from_at=START + 5)) == ["t5"]


async def test_only_the_kinds_cameras_and_colours_asked_for_count(index):
    points = [
        a_point(1, [1, 1], "red-car", camera="north", colour="red", colour_score=0.9),
        a_point(2, [1, 2], "red-van", camera="south", colour="red", kind="van"),
        a_point(3, [1, 3], "blue-car", camera="south", colour="blue"),
        a_point(4, [1, 4], "unsaid", camera="east"),
    ]
    await index.upsert(points, cursor=4)
    for where, expected in (
        (Where(kinds=("van",)), ["red-van"]),
        (Where(kinds=("van", "car"), cameras=("north", "east")), ["red-car", "unsaid"]),
        (Where(colours=("red", "blue")), ["red-car", "red-van", "blue-car"]),
        (Where(colours=("red",), kinds=("car",)), ["red-car"]),
        (Where(colours=("green",)), []),
    ):
        assert await tracklets(index, [1, 0], where=where) == expected
        found = await index.sightings_of(["red-car", "red-van", "blue-car", "unsaid"], limit=9, where=where)
        assert {one.tracklet for one in found} == set(expected)


@pytest.mark.parametrize("fragment", ["ab1", "m-A B12", "AB-123", "b 1 2"])
async def test_a_plate_is_found_by_any_part_of_it_however_it_is_written(index, fragment):
    await index.upsert([a_point(1, [1, 1], "read", plate="M-AB 123"), a_point(2, [1, 2], "unread")], cursor=2)
    assert await tracklets(index, [1, 0], where=Where(plate=fragment)) == ["read"]
    assert await tracklets(index, [1, 0], where=Where(plate="AC")) == []


async def test_of_no_plate_in_particular_every_plate_counts(index):
    points = [a_point(1, [1, 1], "read", plate="M-AB 123"), a_point(2, [1, 2], "unread"), a_point(3, [1, 3], "dash", plate="-")]
    await index.upsert(points, cursor=3)
    assert await tracklets(index, [1, 0], where=Where(plate=" ")) == ["read", "dash"]


async def test_only_the_tracklets_asked_for_count_and_of_none_asked_for_none(index):
    await index.upsert([a_point(n, [1, n], f"t{n}") for n in range(1, 5)], cursor=4)
    assert await tracklets(index, [1, 0], where=Where(tracklets=("t3", "t1", "gone"))) == ["t1", "t3"]
    assert await tracklets(index, [1, 0], where=Where(tracklets=("t3", "t1"), except_tracklet="t3")) == ["t1"]
    assert await tracklets(index, [1, 0], where=Where(tracklets=())) == []
    assert [one.tracklet for one in await index.sightings_of(["t1", "t2"], limit=9, where=Where(tracklets=("t2", "t3")))] == [
        "t2"
    ]
    assert await index.sightings_of(["t1"], limit=9, where=Where(tracklets=())) == []


async def test_matches_have_their_vectors_when_asked_for(index):
    await index.upsert([a_point(1, [3, 4]), a_point(2, [0, 1])], cursor=2)
    best = (await index.search("colour@1", np.array([3, 4], np.float32), limit=1, with_vectors=True))[0]
    np.testing.assert_allclose(best.vector, [0.6, 0.8], atol=1e-6)
    assert best.vector.dtype == np.float32
    assert (await index.search("colour@1", np.array([1, 0], np.float32), limit=1))[0].vector is None


async def test_points_of_many_tracklets_come_in_one_answer_by_time_and_id(index):
    kept = [a_point(4, [1, 0], "b", at=1), a_point(3, [0, 1], "a", at=1, colour="red"), a_point(2, [3, 4, 0], "a", at=7)]
    await index.upsert([*kept, a_point(1, [0, 1], "other")], cursor=4)
    found = await index.points_of_many(["a", "b", "gone"], limit=9)
    assert [one.id.int for one in found] == [3, 4, 2]
    np.testing.assert_allclose(found[2].vector, [0.6, 0.8, 0], atol=1e-6)
    assert [one.id.int for one in await index.points_of_many(["a", "b"], limit=9, where=Where(colours=("red",)))] == [3]
    assert len(await index.points_of_many(["a", "b"], limit=2)) == 2
    assert await index.points_of_many([], limit=9) == []


NAMES, COLOURS, PLATES = [f"t{n}" for n in range(6)], ["red", "blue", "white"], ["M-AB 123", "mab 12", "X 99", "-"]


def any_of(values, **sizes):
    return st.lists(st.sampled_from(values), unique=True, **sizes).map(tuple)


wheres = st.builds(
    Where,
    from_at=st.none() | st.integers(START, START + 40),
    until_at=st.none() | st.integers(START, START + 40),
    kinds=any_of(["car", "van", "bus"], max_size=2),
    cameras=any_of(["north", "south", "east"], max_size=2),
    colours=any_of([*COLOURS, "green"], max_size=2),
    plate=st.none() | st.sampled_from(["", "ab", "B-1", "9", "123", "zz"]),
    tracklets=st.none() | any_of([*NAMES, "gone"]),
    except_tracklet=st.none() | st.sampled_from(NAMES),
)


@pytest.fixture
async def crowd(index):
    """An index of 300 sightings that share few cameras, kinds, colours, plates and times, and the same in memory."""
    chance, oracle = np.random.default_rng(7), MemoryIndex()
    vectors = chance.normal(size=(300, 8))

    def one_of(values):
        return values[chance.integers(len(values))]

    points = [
        a_point(
            n,
            vectors[n],
            one_of(NAMES),
            one_of(["north", "south"]),
            at=int(chance.integers(40)),
            kind=one_of(["car", "car", "van"]),
            colour=one_of([None, *COLOURS]),
            plate=one_of([None, *PLATES]),
        )
        for n in range(300)
    ]
    for one in (index, oracle):
        await one.upsert(points, cursor=300)
    return index, oracle


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=wheres, limit=st.sampled_from([1, 5, 400]), asked=any_of([*NAMES, "gone"]))
async def test_whatever_is_asked_together_the_answer_is_that_of_the_exact_index(crowd, where, limit, asked):
    index, oracle = crowd
    probe = np.arange(1, 9, dtype=np.float32)
    found, expected = [
        await one.search("colour@1", probe, limit=limit, where=where, with_vectors=True) for one in (index, oracle)
    ]
    assert [one.sighting for one in found] == [one.sighting for one in expected]
    assert [one.cosine for one in found] == pytest.approx([one.cosine for one in expected], abs=1e-5)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.vector, other.vector, atol=1e-6)
    found, expected = [await one.points_of_many(asked, limit=400, where=where) for one in (index, oracle)]
    assert [(one.id, one.sighting) for one in found] == [(one.id, one.sighting) for one in expected]
    sightings = sorted((one.sighting for one in expected), key=lambda one: (one.at, one.camera, one.tracklet))
    assert [one.at for one in await index.sightings_of(asked, limit=400, where=where)] == [one.at for one in sightings]
    assert len(await index.sightings_of(asked, limit=3, where=where)) == min(3, len(expected))


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


async def test_no_name_from_outside_makes_more_spaces_than_there_is_room_for(index, monkeypatch):
    monkeypatch.setattr("retrieval.index.MOST_SPACES", 3)
    points = [a_point(n, [1, 0], f"t{n}", embedder=f"e{n}") for n in range(5)]
    assert await index.upsert(points, cursor=1) == 3
    assert await index.upsert([a_point(90, [1, 0], embedder="e0"), a_point(91, [1, 0], embedder="new")], cursor=2) == 1
    assert len(await index.embedders()) == 3


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


async def test_an_index_of_an_older_release_is_read_as_it_is_and_gets_what_it_lacks(tmp_path):
    folder = tmp_path / "lot" / "colour-1-2-old"
    folder.mkdir(parents=True)
    shard = qdrant.EdgeShard.create(
        str(folder), qdrant.EdgeConfig(vectors=qdrant.EdgeVectorParams(size=2, distance=qdrant.Distance.Cosine))
    )
    shard.update(qdrant.UpdateOperation.create_field_index("tracklet", qdrant.PayloadSchemaType.Keyword))
    of_then = {"site": "lot", "camera": "north", "tracklet": "t1", "at": START, "kind": "car", "quality": 0.5}
    shard.update(
        qdrant.UpdateOperation.upsert_points(
            [qdrant.Point(UUID(int=1), [1, 0], of_then | {"embedder": "colour@1", "crop": None})]
        )
    )
    shard.close()
    (tmp_path / "lot" / STATE_FILE).write_text(
        '{"schema":"twin.search/1","cursor":4,"shards":[{"embedder":"colour@1","n_components":2,"folder":"colour-1-2-old"}]}'
    )
    index = await QdrantIndex.open(tmp_path / "lot")
    assert await index.cursor() == 4
    assert (await index.points_of(TrackletId("t1")))[0].sighting == a_point(1, [1, 0]).sighting
    await index.upsert([a_point(2, [1, 1], "t2", colour="red")], cursor=5)
    assert await tracklets(index, [1, 0], where=Where(cameras=("north",), from_at=START)) == ["t1", "t2"]
    assert await tracklets(index, [1, 0], where=Where(colours=("red",))) == ["t2"]
    await index.aclose()
    again = qdrant.EdgeShard.load(str(folder))
    assert set(again.info().payload_schema) == set(INDEXED)
    again.close()


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
