"""Since when a stall is taken or free: not since that was noticed."""

from tracks import car

from twin.events.ids import SECOND
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.stall_times import taken_and_left
from twin.fusion.state import StallBelief, TrailPoint

T0 = 1_767_268_800 * SECOND


def found(lot, *tracks, at, **beliefs):
    return taken_and_left(tracks, beliefs, Scene(lot, DEFAULTS), at)


def parked(number, since, **changes):
    return car(number, T0, 7.5, 8.5, status="parked", stall="s1", still=TrailPoint(since, 7.5, 8.5), **changes)


def test_who_is_found_to_be_parked_stood_there_before(lot):
    taken, _ = found(lot, parked(1, T0 - 3 * SECOND), at=T0)
    assert taken["s1"].vehicle == "v1"
    assert T0 - 3 * SECOND < taken["s1"].since_at < T0 - SECOND


def test_who_stood_for_long_elsewhere_in_name_is_there_from_now_on(lot):
    taken, _ = found(lot, parked(1, T0 - 90 * SECOND), at=T0, s1=StallBelief("free", since_at=T0 - 200 * SECOND))
    assert taken["s1"].since_at == T0


def test_who_stood_for_long_in_a_stall_of_which_nothing_was_said_was_there_all_the_time(lot):
    taken, _ = found(lot, parked(1, T0 - 90 * SECOND), at=T0)
    assert taken["s1"].since_at == T0 - 90 * SECOND + SECOND // 5
    taken, _ = found(lot, parked(1, T0 - 90 * SECOND), at=T0, s2=StallBelief("occupied", "v1", since_at=T0 - 80 * SECOND))
    assert taken["s1"].since_at == T0, "it was said to be in another one until now"


def test_a_stall_holds_the_first_that_parked(lot):
    tracks = parked(1, T0), parked(2, T0)
    assert found(lot, *tracks, at=T0)[0]["s1"].vehicle == "v1"
    assert found(lot, *tracks, at=T0, s1=StallBelief("occupied", "v2"))[0]["s1"].vehicle == "v2"


def test_who_is_found_to_be_off_its_place_began_to_move_before(lot):
    off = car(1, T0, 7.5, 7.3, stood=TrailPoint(T0 - SECOND // 5, 7.5, 8.5))
    (left_at,) = found(lot, off, at=T0)[1].values()
    assert left_at == T0 - 2 * SECOND, "1.2 m at 0.6 m/s² take 2 s"
    far = car(1, T0, 7.5, -8.5, stood=TrailPoint(T0 - SECOND // 5, 7.5, 8.5))
    assert found(lot, far, at=T0)[1] == {"v1": T0 - 3 * SECOND}


def test_who_left_long_ago_frees_nothing_any_more(lot):
    gone = car(1, T0, 7.5, 3.0, stood=TrailPoint(T0 - 60 * SECOND, 7.5, 8.5))
    assert found(lot, gone, at=T0) == ({}, {})
