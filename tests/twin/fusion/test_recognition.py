"""Who began anew is found to be one that was lost, once that is missed; all at once, so that none is taken for another."""

import pytest
from tracks import view

from twin.events.facts import IdentitiesMerged
from twin.events.ids import SECOND
from twin.fusion.emission import Emission
from twin.fusion.identity import certainty_of
from twin.fusion.joining import unite
from twin.fusion.motion import born
from twin.fusion.parameters import DEFAULTS
from twin.fusion.recognition import recognitions
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, known_at
from twin.fusion.step import Step

T0 = 1_767_268_800_000_000
NOW = T0 + 60 * SECOND


RED, BLUE, REDDISH, MAUVE = view(1.0), view(0.0, 1.0), view(0.9), view(0.7, 0.7)


def track(
    number, gallery, *, status="moving", born_s=0.0, seen_s=60.0, x=40.0, has_entered=False, known_at=None, is_inner_birth=True
):
    return Track(
        id=number,
        level="ground",
        status=status,
        motion=born(T0 + round(seen_s * SECOND), x, 3.0, (0.1, 0.0, 0.1), 1.0),
        kind="car",
        kind_scores={"car": 1.0},
        heading=(1.0, 0.0),
        born_at=T0 + round(born_s * SECOND),
        first_m=(x, 3.0),
        is_inner_birth=is_inner_birth,
        hits=90,
        seen_at=T0 + round(seen_s * SECOND),
        seen_by="right",
        vehicle=f"v{number}",
        gallery=gallery,
        has_entered=has_entered,
        known_at=known_at,
    )


def lost(number, gallery, *, seen_s=47.0, x=30.0):
    return track(number, gallery, status="hidden", seen_s=seen_s, x=x, has_entered=True)


def anew(number, gallery, *, born_s=50.0, **other):
    return track(number, gallery, born_s=born_s, **other)


def pairs(lot, *tracks):
    state = FusionState(tracks={one.id: one for one in tracks})
    return [(one.lost.id, one.found.id) for one in recognitions(state, Scene(lot, DEFAULTS), NOW)]


def test_who_began_anew_is_the_lost_one_that_it_looks_like(lot):
    assert pairs(lot, lost(1, (REDDISH,)), lost(2, (BLUE,)), anew(3, (RED,))) == [(1, 3)]


def test_of_two_that_look_like_one_it_is_the_one_that_fits_best_in_total(lot):
    # The first is a little like 2, and more like 1; the second is only like 2.
    first, second = anew(3, (view(0.9, 0.4),)), anew(4, (BLUE,))
    assert pairs(lot, lost(1, (RED,)), lost(2, (BLUE,)), first, second) == [(1, 3), (2, 4)]


@pytest.mark.parametrize(
    "found",
    [
        anew(3, (MAUVE,)),  # as much like one as like the other
        anew(3, ()),  # nobody saw how it looks
        anew(3, (RED,), born_s=40.0),  # it was here while the lost one was still seen elsewhere
        anew(3, (RED,), has_entered=True),
        anew(3, (RED,), known_at=T0),  # it is one that was known before
        anew(3, (RED,), seen_s=55.0),  # it is not seen now
        anew(3, (RED,), x=-5.0),  # before the gate, where whoever comes is new
        anew(3, (RED,), x=5.0, is_inner_birth=False),  # just behind it: it may have come in unseen
        anew(3, (RED,), born_s=47.1, x=60.0),  # nobody drives 30 m in that
    ],
)
def test_who_may_be_another_keeps_its_own_name(lot, found):
    assert pairs(lot, lost(1, (REDDISH,)), lost(2, (view(0.0, 0.9),)), found) == []


def test_who_began_far_from_every_entrance_is_somebody_though_a_frame_may_have_cut_it_off(lot):
    assert pairs(lot, lost(1, (RED,)), anew(3, (RED,), is_inner_birth=False)) == [(1, 3)]


def test_two_that_could_each_be_the_lost_one_keep_their_names(lot):
    assert pairs(lot, lost(1, (RED,)), anew(3, (RED,)), anew(4, (RED,))) == []


def test_whoever_is_recognized_goes_by_the_name_that_came_in(lot):
    step, emission = _recognizing(lot)
    step._identities.unite(NOW)
    assert next(one.payload for one in emission.facts if isinstance(one.payload, IdentitiesMerged)).merged == "v3"
    (left,) = step.finished().tracks.values()
    assert (left.vehicle, left.has_entered, left.known_at) == ("v1", True, T0)


def test_whoever_is_recognized_late_is_no_surer_than_at_first_sight_and_was_seen_as_often(lot):
    step, _ = _recognizing(lot)
    (one,) = recognitions(step._draft.state, Scene(lot, DEFAULTS), NOW)
    assert one.margin < 8.0
    step._identities.unite(NOW)
    (left,) = step.finished().tracks.values()
    assert (left.certainty, left.hits) == (certainty_of(one.margin), 180)


def test_who_is_found_to_be_two_was_here_since_the_first_of_them():
    emission = Emission("lot", "2", 1, lambda _: [])
    elder, younger = track(5, (RED,), born_s=40.0), track(6, (RED,), born_s=50.0, known_at=T0 + 5 * SECOND)
    unite(elder, younger, NOW, emission)
    assert known_at(elder) == T0 + 5 * SECOND
    elder = track(5, (RED,), born_s=40.0)
    unite(elder, track(6, (RED,), born_s=50.0), NOW, emission)
    assert elder.known_at is None


def test_of_two_that_are_one_the_older_name_stays_though_its_track_is_the_younger(lot):
    emission = Emission("lot", "2", 1, lambda _: [])
    tracks = {2: track(2, (RED,), born_s=40.0), 3: track(3, (RED,), born_s=50.0, has_entered=True, known_at=T0)}
    step = Step(FusionState(n_tracks=3, tracks=tracks), Scene(lot, DEFAULTS), emission)
    step._identities._join(2, tracks[3], NOW)
    (fact,) = [one.payload for one in emission.facts if isinstance(one.payload, IdentitiesMerged)]
    assert (fact.vehicle, fact.merged) == ("v3", "v2")
    (left,) = step.finished().tracks.values()
    assert (left.id, left.vehicle, left.has_entered, left.known_at) == (2, "v3", True, T0)


def _recognizing(lot):
    emission = Emission("lot", "2", 1, lambda _: [])
    tracks = {1: lost(1, (REDDISH,)), 3: anew(3, (RED,))}
    return Step(FusionState(n_tracks=3, tracks=tracks), Scene(lot, DEFAULTS), emission), emission
