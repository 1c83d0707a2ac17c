from __future__ import annotations

import asyncio
from uuid import UUID

import numpy as np

from retrieval import galleries as remembered
from retrieval.galleries import GalleryIndex, _n_bytes
from retrieval.index import Point, Sighting
from retrieval.memory import MemoryIndex
from retrieval.tracklet_views import gallery_of
from retrieval.whereabouts import Clocks

SPACE = ("e@1", 4)


def point(number, tracklet, at=0, camera="a", vector=(1.0, 0.0, 0.0, 0.0)):
    sighting = Sighting(site="s", camera=camera, tracklet=tracklet, at=at, kind="car", quality=0.5, embedder="e@1")
    return Point(id=UUID(int=number), vector=np.array(vector, np.float32), sighting=sighting)


async def filled(*points, **given):
    index = GalleryIndex(MemoryIndex(), **given)
    await index.upsert(points, cursor=1)
    return index


async def reopened(*points):
    """Over an index that has points already."""
    before = MemoryIndex()
    await before.upsert(points, cursor=1)
    return GalleryIndex(before)


async def test_a_new_view_of_a_tracklet_is_seen_although_the_others_were_remembered():
    index = await filled(point(1, "t"))
    assert len((await index.views_of(SPACE, ["t"]))["t"].sightings) == 1
    await index.upsert([point(2, "t", at=5)], cursor=2)
    assert [one.at for one in (await index.views_of(SPACE, ["t"]))["t"].sightings] == [0, 5]


async def test_a_forgotten_tracklet_is_not_remembered():
    index = await filled(point(1, "t"))
    await index.views_of(SPACE, ["t"])
    assert await index.delete("t") == 1
    assert await index.views_of(SPACE, ["t"]) == {}


class Counting(MemoryIndex):
    """Tells how often tracklets were read."""

    def __init__(self):
        super().__init__()
        self.n_read = 0

    async def points_of_many(self, tracklets, **given):
        self.n_read += 1
        return await super().points_of_many(tracklets, **given)


async def test_what_goes_into_an_index_that_was_empty_is_not_read_again():
    index = GalleryIndex(before := Counting())
    await index.upsert([point(1, "t"), point(2, "u")], cursor=1)
    await index.upsert([point(3, "t", at=5), point(1, "t", at=9)], cursor=2)  # one more, and one that came again, later
    views = await index.views_of(SPACE, ["t", "u"])
    assert [(one.at, name.int) for one, name in zip(views["t"].sightings, views["t"].ids, strict=True)] == [(5, 3), (9, 1)]
    assert before.n_read == 0
    assert [hit.sighting.at for hit in await index.hits([(UUID(int=3), 0.5), (UUID(int=1), 0.4)], {})] == [5, 9]


async def test_what_an_older_index_has_is_read_before_new_views_are_added_to_it():
    before = Counting()
    await before.upsert([point(1, "t")], cursor=1)
    index = GalleryIndex(before)
    await index.upsert([point(2, "t", at=5), point(3, "u")], cursor=2)
    assert [len((await index.views_of(SPACE, [name]))[name].ids) for name in ("t", "u")] == [2, 1]
    assert before.n_read == 2
    await index.upsert([point(4, "t", at=6)], cursor=3)
    assert len((await index.views_of(SPACE, ["t"]))["t"].ids) == 3
    assert before.n_read == 2


async def test_a_point_that_is_another_tracklets_now_is_no_more_the_first_ones():
    index = await filled(point(1, "t"), point(2, "t", at=5))
    await index.upsert([point(1, "u")], cursor=2)
    views = await index.views_of(SPACE, ["t", "u"])
    assert {name: [one.int for one in each.ids] for name, each in views.items()} == {"t": [2], "u": [1]}


async def test_what_is_known_of_a_vehicle_follows_its_tracklets():
    index = await filled(point(1, "t"), point(2, "u", camera="b"))

    async def known(*tracklets):
        vehicles, _ = await index.vehicles(SPACE, {"v": tracklets})
        return vehicles["v"].at.tolist(), vehicles["v"].together.looks.cameras

    assert await known("t", "u", "later") == ([0, 0], ("a", "b"))
    await index.upsert([point(3, "u", at=5, camera="b"), point(4, "later", at=9)], cursor=2)
    assert await known("t", "u", "later") == ([0, 0, 5, 9], ("a", "b"))
    assert await known("t") == ([0], ("a",))
    await index.delete("t")
    assert await known("t", "u") == ([0, 5], ("b",))
    assert not await index.sightings([UUID(int=1)])


async def test_whether_there_are_others_is_known_of_an_index_that_was_empty():
    index = await filled(point(1, "t"), point(2, "u"))
    assert not index.may_have_others({"t": "v", "u": "v"})
    assert index.may_have_others({"t": "v"})
    assert (await reopened(point(1, "t"))).may_have_others({"t": "v"})


async def test_what_is_remembered_is_bounded_and_read_again():
    index = await filled(*(point(n, f"t{n}") for n in range(50)), most_bytes=2_000)
    names = [f"t{n}" for n in range(50)]
    assert set(await index.views_of(SPACE, names)) == set(names)
    assert set(await index.views_of(SPACE, names)) == set(names)
    assert index._n_bytes <= 2_000


async def test_a_tracklet_of_another_space_has_no_views_in_this():
    index = await filled(point(1, "t"))
    assert await index.views_of(("e@2", 4), ["t", "nobody"]) == {}


async def test_a_gallery_counts_each_tracklet_once_and_cameras_apart():
    index = await filled(
        point(1, "t"),
        point(2, "t", at=5, vector=(0.0, 1.0, 0.0, 0.0)),
        point(3, "u", camera="b"),
        point(4, "w", at=9),
    )
    views = await index.views_of(SPACE, ["t", "u", "w"])
    found = gallery_of(views.values(), "b")
    assert (found.n_views, found.n_cameras) == (4, 2)
    first, second = found.shots
    assert (first.camera, first.n_tracklets, first.is_same_camera) == ("a", 2, False)
    assert first.total.tolist() == [64 + 127, 64, 0, 0]  # the mean of two views, 63.5 rounded to even, and one view
    assert (second.camera, second.n_tracklets, second.is_same_camera) == ("b", 1, True)


async def test_later_views_are_not_in_what_is_known_until_a_time_by_the_sites_clock():
    index = await filled(point(1, "t"), point(2, "t", at=5, vector=(0.0, 1.0, 0.0, 0.0)), point(3, "u", at=7))
    views = await index.views_of(SPACE, ["t", "u"])
    right, late = Clocks({}), Clocks({"a": [(0, -6)]})  # a camera that is 6 us ahead
    assert views["t"].until(right, 4).mean.tolist() == [127, 0, 0, 0]
    assert views["u"].until(right, 4) is None
    assert views["u"].until(late, 4) is views["u"]


async def test_what_is_counted_is_what_is_kept_whoever_asks_at_once():
    index = await filled(point(1, "t"))
    await asyncio.gather(*(index.views_of(SPACE, ["t"]) for _ in range(5)))
    assert index._n_bytes == sum(map(_n_bytes, index._views.values())) > 0


async def test_a_deletion_whose_caller_is_gone_is_noticed_all_the_same():
    class Slow(MemoryIndex):
        async def delete(self, tracklet):
            n_points = await super().delete(tracklet)
            await asyncio.sleep(10)
            return n_points

    index = GalleryIndex(Slow())
    await index.upsert([point(1, "t")], cursor=1)
    await index.views_of(SPACE, ["t"])
    deleting = asyncio.create_task(index.delete("t"))
    await asyncio.sleep(0.01)
    deleting.cancel()
    await asyncio.gather(deleting, return_exceptions=True)
    assert await index.views_of(SPACE, ["t"]) == {}


async def test_of_more_views_than_one_question_may_read_the_first_named_are_read(monkeypatch):
    monkeypatch.setattr(remembered, "MOST_VIEWS", 2)
    monkeypatch.setattr(remembered, "CHUNK", 1)
    index = await reopened(point(1, "b"), point(2, "a"), point(3, "c"))
    assert set(await index.views_of(SPACE, ["c", "a", "b"])) == {"c", "a"}
