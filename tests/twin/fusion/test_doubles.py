"""Tracks that are one vehicle, and tracks that only look like it."""

import pytest
from tracks import view

from twin.events.facts import IdentitiesMerged
from twin.events.ids import SECOND
from twin.events.observations import DetectedBox
from twin.fusion import doubles
from twin.fusion.draft import Draft
from twin.fusion.emission import Emission
from twin.fusion.identities import Identities
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Suspicion, Track

T0 = 1_767_268_800_000_000


def track(number, x, y=0.0, *, status="parked", at=T0, stall=None, born_beside=(), velocity=(0.0, 0.0), hits=90):
    motion = born(at, x, y, (0.1, 0.0, 0.1), 1.0)
    motion = type(motion)(motion.at, motion.x, motion.y, *velocity, motion.p)
    return Track(
        id=number,
        level="ground",
        status=status,
        motion=motion,
        kind="car",
        kind_scores={"car": 1.0},
        heading=(1.0, 0.0),
        born_at=T0,
        first_m=(x, y),
        is_inner_birth=True,
        hits=hits,
        seen_at=at,
        seen_by="a",
        vehicle=f"v{number}",
        stall=stall,
        born_beside=born_beside,
    )


def box(x1, x2, y1=100.0, y2=150.0, name="t"):
    return DetectedBox(tracklet=name, kind="car", score=0.9, box_px=(x1, y1, x2, y2), box_sigma_px=(1.0, 1.0))


def pairs(found):
    return [(one.elder, one.younger) for one in found]


def test_two_parked_tracks_nearer_than_two_vehicles_can_stand_are_suspected_and_then_sure():
    one, other = track(1, 0.0), track(2, 1.2, born_beside=(1,))
    (pair,) = doubles.suspected([other, one], (), T0)
    assert pair == Suspicion(1, 2, T0)
    assert not doubles.is_sure(pair, one, other, T0 + 2 * SECOND)
    (again,) = doubles.suspected([one, other], (pair,), T0 + SECOND)
    assert again == pair, "it is suspected since it was first"
    assert doubles.is_sure(pair, one, other, T0 + 3 * SECOND)


@pytest.mark.parametrize(
    "other",
    [
        track(2, 2.5, born_beside=(1,)),  # the next stall
        track(2, 1.2),  # came from elsewhere
        track(2, 1.2, born_beside=(1,), status="hidden"),
        track(2, 1.2, born_beside=(1,), at=T0 - 2 * SECOND),  # not watched
        track(2, 1.2, born_beside=(1,), status="moving", velocity=(2.0, 0.0)),  # drives past
    ],
)
def test_tracks_that_may_be_two_are_not_suspected(other):
    assert doubles.suspected([track(1, 0.0), other], (), T0) == ()


def test_one_stall_holds_one_vehicle_wherever_two_cameras_place_it():
    one, other = track(1, 0.0, stall="a1"), track(2, 2.3, stall="a1", born_beside=(1,))
    assert pairs(doubles.suspected([one, other], (), T0)) == [(1, 2)]


def test_a_camera_that_shows_both_side_by_side_for_seconds_keeps_them_apart():
    one, other = track(1, 0.0), track(2, 1.2, born_beside=(1,))
    for second in range(3):
        assert not doubles.are_two(one, other)
        for part in range(10):  # more frames of one second count once
            doubles.note_apart([(one, box(0, 50)), (other, box(60, 110))], T0 + second * SECOND + part * 100_000)
    assert doubles.are_two(one, other)
    one.seen_at = other.seen_at = T0 + 3 * SECOND
    assert doubles.suspected([one, other], (), T0 + 3 * SECOND) == ()
    later = T0 + 60 * SECOND
    one.seen_at = other.seen_at = later
    assert pairs(doubles.suspected([one, other], (), later)) == [(1, 2)], "what was seen a minute ago may have been a swap"


def test_two_boxes_of_which_one_lies_mostly_in_the_other_prove_nothing():
    one, other = track(1, 0.0), track(2, 1.2, born_beside=(1,))
    for second in range(5):
        doubles.note_apart([(one, box(0, 50)), (other, box(10, 40))], T0 + second * SECOND)
    assert not doubles.are_two(one, other)
    assert doubles.is_second_box(box(10, 40), [box(0, 50)])
    assert not doubles.is_second_box(box(30, 80), [box(0, 50)])


def test_only_tracks_that_stand_near_each_other_are_noted_each_with_all_others_near_it():
    tracks = [track(n, 4.0 * n) for n in range(5)]
    doubles.note_apart([(one, box(60 * n, 60 * n + 50)) for n, one in enumerate(tracks)], T0)
    assert [list(one.apart) for one in tracks] == [[1], [0, 2], [1, 3], [2, 4], [3]]


def test_the_overlap_is_a_share_of_the_smaller_box():
    assert doubles.overlap(box(0, 100), box(50, 70)) == 1.0
    assert doubles.overlap(box(0, 100), box(50, 250)) == 0.5
    assert doubles.overlap(box(0, 100), box(100, 200)) == 0.0


def test_a_newborn_notes_who_is_seen_beside_it():
    near, far, unseen = track(1, 3.0), track(2, 9.0), track(3, 1.0, at=T0 - 5 * SECOND, status="moving")
    parked = track(5, 1.0, at=T0 - 5 * SECOND)
    assert doubles.beside(track(4, 0.0), [near, far, unseen, parked]) == (1, 5)


@pytest.mark.parametrize(
    ("entered", "hits", "found"),
    [(False, 59, [(1, 2)]), (True, 59, []), (False, 60, [])],  # a stay hangs on it; it was seen too often to be nothing
)
def test_what_was_hardly_seen_and_is_seen_no_more_is_a_double_of_who_stands_there(entered, hits, found):
    one, other = track(1, 0.0, at=T0 + 30 * SECOND), track(2, 1.2, born_beside=(1,))
    other.has_entered, other.hits = entered, hits
    assert pairs(doubles.suspected([one, other], (), T0 + 30 * SECOND)) == found


@pytest.mark.parametrize(
    ("away_m", "entered", "found"),
    [(0.9, (False, False), [(1, 2)]), (0.9, (True, False), [(1, 2)]), (0.9, (True, True), []), (1.1, (False, False), [])],
)
def test_who_is_seen_no_more_where_another_stands_is_that_one_unless_both_came_in(away_m, entered, found):
    one, other = track(1, 0.0), track(2, away_m, born_beside=(1,), at=T0 + 30 * SECOND)
    one.has_entered, other.has_entered = entered
    later = T0 + 30 * SECOND
    assert pairs(doubles.suspected([one, other], (), later)) == found
    assert doubles.must_look_alike(one, other, later)
    assert doubles.must_look_alike(one, other, T0 + 2 * SECOND)
    assert not doubles.must_look_alike(one, other, T0)


@pytest.mark.parametrize(("cosine", "is_one"), [(0.95, True), (0.0, False)])
def test_who_is_seen_no_more_where_another_stands_is_not_that_one_if_they_look_unlike(lot, cosine, is_one):
    later = T0 + 30 * SECOND
    one, other = track(1, 0.0), track(2, 0.5, born_beside=(1,), at=later)
    one.vehicle, other.vehicle, one.gallery, other.gallery = "v1", "v2", (view(1.0),), (view(cosine),)
    state = FusionState(tracks={1: one, 2: other}, suspicions=(Suspicion(1, 2, later - 5 * SECOND),))
    emission = Emission("lot", "2", 1, lambda _: [])
    draft = Draft(state, Scene(lot, DEFAULTS), emission)
    Identities(draft).unite(later)
    assert [type(fact.payload) for fact in emission.facts] == [IdentitiesMerged] * is_one
    assert len(draft.state.tracks) == 2 - is_one


def test_two_that_nobody_sees_are_left_alone():
    assert doubles.suspected([track(1, 0.0), track(2, 1.2, born_beside=(1,))], (), T0 + 30 * SECOND) == ()
