from __future__ import annotations

from itertools import permutations
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.context import Anchor, Place, Shot
from retrieval.rerank import Candidate, Probe, look_share, rerank, stray_chance, tracklet_chance
from retrieval.weights import Weights

T0 = 1_767_225_600_000_000
SECOND = 1_000_000
METRES = {("a", "b"): 120.0, ("b", "c"): 60.0, ("a", "c"): 180.0}
WEIGHTS = Weights()


def one_way_m(start, end):
    """Driving is only possible from a by b to c."""
    return 0.0 if start == end else METRES.get((start, end), inf)


def shot(camera, at_s, tracklet="t", **given):
    return Shot(tracklet=tracklet, camera=camera, at=T0 + round(at_s * SECOND), **given)


def vehicle(name, *shots, look=0.0, **given):
    return Candidate(vehicle=name, shots=shots, look=look, **given)


def place(to_view_m, *, is_seen=True, is_parked=False, seen_s=60, where="A12"):
    return Place(to_view_m=to_view_m, where=where, is_seen=is_seen, is_parked=is_parked, seen_at=T0 + seen_s * SECOND)


def ranking(candidates, near=None, kind=None, **given):
    return rerank(candidates, Probe(near=Anchor() if near is None else near, kind=kind, **given), one_way_m, WEIGHTS).told()


def order(ranked):
    return [one.vehicle for one in ranked]


NEAR_B = Anchor(camera="b", at=T0 + 60 * SECOND)

looks = st.floats(-20.0, 20.0)
shots = st.builds(shot, st.sampled_from("abc"), st.integers(0, 600), st.sampled_from("tuv"))
groups = st.tuples(st.lists(shots, min_size=1, max_size=5), looks)
anchors = st.builds(
    Anchor,
    camera=st.sampled_from(["a", "b", "c", None]),
    at=st.one_of(st.none(), st.integers(0, 600).map(lambda s: T0 + s * SECOND)),
)


@given(st.lists(groups, min_size=1, max_size=4), anchors, looks)
def test_a_better_look_never_lowers_a_probability(seen, anchor, look):
    candidates = [vehicle(f"v{n}", *group, look=value) for n, (group, value) in enumerate(seen)]
    better = [vehicle("v0", *seen[0][0], look=max(look, seen[0][1])), *candidates[1:]]
    before = {one.vehicle: one.probability for one in ranking(candidates, anchor)}
    after = {one.vehicle: one.probability for one in ranking(better, anchor)}
    assert after["v0"] >= before["v0"] - 1e-12


@given(st.lists(groups, max_size=4), anchors)
def test_probabilities_are_between_none_and_all_and_leave_room_for_nobody(seen, anchor):
    ranked = ranking([vehicle(f"v{n}", *group, look=value) for n, (group, value) in enumerate(seen)], anchor)
    assert all(0.0 <= one.probability <= 1.0 for one in ranked)
    assert sum(one.probability for one in ranked) <= 1.0 + 1e-12
    assert [one.probability for one in ranked] == sorted((one.probability for one in ranked), reverse=True)


@given(st.lists(groups, max_size=4), anchors, st.randoms(use_true_random=False))
def test_order_of_candidates_and_shots_does_not_matter(seen, anchor, random):
    candidates = [vehicle(f"v{n}", *group, look=value) for n, (group, value) in enumerate(seen)]
    shuffled = [vehicle(f"v{n}", *random.sample(group, len(group)), look=value) for n, (group, value) in enumerate(seen)]
    random.shuffle(shuffled)
    assert ranking(candidates, anchor) == ranking(shuffled, anchor)


def test_of_equal_scores_the_smaller_name_comes_first():
    same = [vehicle(name, shot("a", 0)) for name in ("v2", "v1", "v3")]
    for some in permutations(same):
        assert order(ranking(some)) == ["v1", "v2", "v3"]


def test_without_candidates_there_is_nothing_to_rank():
    assert ranking([], NEAR_B) == []


def test_nobody_known_takes_what_no_look_speaks_for():
    (unlike,) = ranking([vehicle("v", shot("a", 0), look=-10.0)])
    (alike,) = ranking([vehicle("v", shot("a", 0), look=10.0)])
    assert unlike.probability < 0.001
    assert alike.probability > 0.99


def test_who_was_in_view_then_comes_before_who_was_elsewhere_though_that_looks_better():
    there = vehicle("there", shot("a", 20), look=2.0, place=place(0.0, is_parked=True))
    elsewhere = vehicle("elsewhere", shot("a", 20), look=4.0, place=place(90.0, where="zone-2"))
    ranked = ranking([elsewhere, there], NEAR_B)
    assert order(ranked) == ["there", "elsewhere"]
    assert "in view of b then, parked in A12" in ranked[0].reasons
    assert "90 m from the view of b then, in zone-2" in ranked[1].reasons


def test_who_was_out_of_sight_may_have_come_as_far_as_one_drives():
    # Lost for 30 s: at 6 m/s it is 180 m at most.
    near = vehicle("near", shot("a", 20), look=1.0, place=place(100.0, is_seen=False, seen_s=30))
    far = vehicle("far", shot("a", 20), look=1.0, place=place(400.0, is_seen=False, seen_s=30))
    ranked = ranking([far, near], NEAR_B)
    assert order(ranked) == ["near", "far"]
    assert "out of sight for 30 s then, in A12: may be in view" in ranked[0].reasons
    assert "out of sight for 30 s then, in A12: too far away" in ranked[1].reasons


def test_who_came_later_or_had_left_sinks():
    there = vehicle("there", shot("a", 20), shot("c", 100))
    later, before = vehicle("later", shot("a", 300)), vehicle("before", shot("a", -300))
    ranked = ranking([later, before, there], NEAR_B)
    assert ranked[0].vehicle == "there"
    by_name = {one.vehicle: one.reasons for one in ranked}
    assert "not seen before then" in by_name["later"]
    assert "not seen after then" in by_name["before"]


def test_one_that_the_camera_saw_as_somebody_else_then_is_not_the_probe():
    other = vehicle("other", shot("b", 61), shot("a", 20), look=3.0, place=place(0.0))
    one = vehicle("one", shot("a", 20), look=2.0, place=place(0.0))
    ranked = ranking([other, one], NEAR_B)
    assert order(ranked) == ["one", "other"]
    assert "excluded: b saw it as somebody else 1 s from then" in ranked[1].reasons


def test_a_view_of_that_moment_that_looks_just_so_is_the_probes_own():
    itself = vehicle("itself", shot("b", 61, look=0.99), shot("a", 20), look=3.0, place=place(0.0))
    one = vehicle("one", shot("a", 20), look=3.0, place=place(0.0))
    ranked = ranking([one, itself], NEAR_B, itself_from=0.9)
    assert order(ranked) == ["itself", "one"]
    assert "b saw it at that moment, looking just so" in ranked[0].reasons


def test_driving_has_a_direction():
    before, after = vehicle("before", shot("a", 20)), vehicle("after", shot("a", 100))
    ranked = ranking([after, before], NEAR_B)
    assert order(ranked) == ["before", "after"]
    assert "reachable in 40 s: 120 m from a" in ranked[0].reasons
    assert "not reachable: no way between a and b" in ranked[1].reasons


def test_what_would_have_to_fly_is_not_reachable():
    # 120 m in 5 s, with 2 s of slack: 17 m/s.
    ranked = ranking([vehicle("fast", shot("a", 55)), vehicle("slow", shot("a", 20))], NEAR_B)
    assert order(ranked) == ["slow", "fast"]
    assert "not reachable in 5 s: 120 m from a" in ranked[1].reasons


def test_with_a_camera_only_who_can_have_been_there_comes_first():
    ranked = ranking([vehicle("c-only", shot("c", 0)), vehicle("near", shot("b", 0))], Anchor(camera="c"))
    assert order(ranked) == ["c-only", "near"]
    ranked = ranking([vehicle("far", shot("c", 0)), vehicle("near", shot("b", 0))], Anchor(camera="b"))
    assert "seen by b, 0 m from b" in ranked[0].reasons


def test_with_a_time_only_who_was_not_there_yet_sinks():
    ranked = ranking([vehicle("later", shot("b", 500)), vehicle("then", shot("c", 0), shot("c", 90))], Anchor(at=NEAR_B.at))
    assert order(ranked) == ["then", "later"]


def test_another_kind_speaks_against_a_vehicle_and_says_so():
    car, van = vehicle("car", shot("a", 0, kind="car")), vehicle("van", shot("a", 0, kind="van"))
    ranked = ranking([van, car], kind="car")
    assert order(ranked) == ["car", "van"]
    assert "of another kind" in ranked[1].reasons


def test_reasons_begin_with_the_look_and_what_it_rests_on():
    (one,) = ranking([vehicle("v", shot("a", 0), shot("a", 5), shot("b", 9), look=1.45, n_views=3, n_cameras=2)])
    assert one.reasons == ("0.81 look, 3 views of 2 cameras", "seen by a 2 times, seen by b 1 time")
    assert look_share(1.45) == pytest.approx(0.81, abs=0.001)


def test_a_tracklet_of_the_right_vehicle_that_looks_unlike_may_be_a_mistake():
    fitting, odd = tracklet_chance(5.0, 0.99, 50), tracklet_chance(-8.0, 0.99, 50)
    assert fitting > 0.98
    assert odd < 0.1
    assert tracklet_chance(5.0, None, 50) > tracklet_chance(5.0, 0.0, 50)  # rather nobody's than somebody else's


def test_a_stray_is_the_probes_as_far_as_it_is_the_probes_vehicle():
    assert stray_chance(0.01, {"v": 0.9}, {"v": 1.0}) == pytest.approx(0.901)
    assert stray_chance(0.5, {}, {"v": 1.0}) == 0.5
