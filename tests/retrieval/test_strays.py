from __future__ import annotations

from retrieval.columns import ShotTable, columns_of
from retrieval.context import Shot
from retrieval.index import Sighting
from retrieval.strays import LONGEST_US, likely_vehicles, stray_groups

SECOND = 1_000_000
PLACE, BESIDE = (0.0, 0.0, 100.0, 60.0), (200.0, 0.0, 300.0, 60.0)


def sighting(tracklet, at_s, box=PLACE, camera="a"):
    return Sighting(
        site="s", camera=camera, tracklet=tracklet, at=at_s * SECOND, kind="car", quality=0.5, embedder="e@1", box_px=box
    )


def shot(camera, at_s):
    return Shot(tracklet="t", camera=camera, at=at_s * SECOND)


def likely(stray, looks, of_vehicle):
    seen = ShotTable([columns_of(of_vehicle[name]) for name in looks])
    return likely_vehicles(stray, list(looks.values()), list(looks), seen)


def test_tracklets_at_one_place_of_one_picture_are_one_thing():
    seen = [sighting("t1", 0), sighting("t2", 30), sighting("u1", 10, BESIDE), sighting("t3", 60, (2.0, 1.0, 101.0, 60.0))]
    assert stray_groups(seen) == [("t1", "t2", "t3"), ("u1",)]


def test_another_camera_and_a_long_pause_make_another_thing():
    seen = [sighting("t1", 0), sighting("t2", 10, camera="b"), sighting("t3", 1 + LONGEST_US // SECOND)]
    assert stray_groups(seen) == [("t1",), ("t2",), ("t3",)]


def test_a_tracklet_whose_box_is_not_known_is_by_itself():
    assert stray_groups([sighting("t1", 0, None), sighting("t2", 1, None)]) == [("t1",), ("t2",)]


def test_a_tracklet_that_moves_stays_one():
    assert stray_groups([sighting("t1", 0), sighting("t1", 5, BESIDE), sighting("t2", 10, BESIDE)]) == [("t1", "t2")]


def test_a_stray_is_who_looks_like_it_unless_the_camera_saw_that_one_as_somebody_else():
    of_vehicle = {"v": [shot("b", 0), shot("b", 100)], "w": [shot("b", 0), shot("a", 50), shot("b", 100)]}
    stray = [shot("a", 40), shot("a", 60)]
    found = likely(stray, {"v": 12.0, "w": 14.0}, of_vehicle)
    assert found["v"] > 0.9
    assert found.get("w", 0.0) < 0.1


def test_a_stray_that_looks_like_nobody_is_nobody():
    assert likely([shot("a", 40)], {"v": -20.0}, {"v": [shot("b", 0), shot("b", 100)]}) == {}
