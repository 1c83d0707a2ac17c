"""When enough detections agree that something is a vehicle: sooner where they are sure, and where vehicles stand or drive."""

import pytest
from msgspec.structs import replace

from twin.events.ids import SECOND
from twin.fusion import ripeness
from twin.fusion.appearance import View
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.state import Track, TrailPoint

T0 = 1_767_268_800 * SECOND
AISLE, STALL = (20.0, 3.0), (2.5, 8.5)


def track(place=AISLE, *, score=0.9, first_m=None, hits=60, age_s=10.0):
    return Track(
        id=1,
        level="ground",
        status="tentative",
        motion=born(T0 + round(age_s * SECOND), *place, (0.1, 0.0, 0.1), 1.0),
        kind="car",
        kind_scores={"car": 1.0},
        heading=(1.0, 0.0),
        born_at=T0,
        first_m=first_m or place,
        is_inner_birth=False,
        hits=hits,
        seen_at=T0 + round(age_s * SECOND),
        seen_by="left",
        score=score,
        sure_hits=hits,
        gallery=(View(b"\x7f\x00"),),
    )


@pytest.fixture
def is_ripe(lot):
    scene = Scene(lot, DEFAULTS)
    return lambda track: ripeness.is_ripe(track, scene)


def test_sure_detections_make_a_vehicle_of_what_stands_anywhere(is_ripe):
    assert is_ripe(track(hits=6, age_s=0.8))
    assert not is_ripe(track(hits=5, age_s=0.8))
    assert not is_ripe(track(hits=6, age_s=0.6))
    assert not is_ripe(replace(track(), sure_hits=2))


@pytest.mark.parametrize("score", [0.46, 0.55, 0.64])
def test_a_sign_that_looks_somewhat_like_a_vehicle_never_is_one(is_ripe, score):
    assert not is_ripe(track(score=score, hits=5_000, age_s=600.0))
    assert is_ripe(track(STALL, score=score))
    assert is_ripe(track(score=score, first_m=(13.0, 3.0)))
    assert not is_ripe(track(score=score, first_m=(15.0, 3.0)))


@pytest.mark.parametrize(("speed_mps", "is_one"), [(1.4, False), (4.0, True)])
def test_what_is_somewhat_like_a_motorcycle_must_be_faster_than_somebody_on_foot(is_ripe, speed_mps, is_one):
    seen = track(AISLE, score=0.55, first_m=(AISLE[0] - 10.0 * speed_mps, 3.0))
    way = [TrailPoint(T0 + n * SECOND // 2, AISLE[0] - speed_mps * (10.0 - n / 2), 3.0) for n in range(21)]
    walker = replace(seen, kind="motorcycle", kind_scores={"motorcycle": 1.0}, trail=tuple(way))
    assert is_ripe(walker) == is_one
    assert is_ripe(replace(walker, kind="car"))
    assert is_ripe(replace(walker, score=0.9))


def test_what_is_hardly_like_a_vehicle_must_be_seen_for_long_even_in_a_stall(is_ripe):
    assert not is_ripe(track(STALL, score=0.46, hits=40))
    assert not is_ripe(track(STALL, score=0.46, age_s=5.0))
    assert is_ripe(track(STALL, score=0.55, hits=6, age_s=0.8))
