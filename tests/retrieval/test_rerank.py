from __future__ import annotations

from itertools import permutations
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.rerank import Anchor, Candidate, Logistic, RerankParameters, Shot, pooled_look, rerank, speed_plausibility

T0 = 1_767_225_600_000_000
SECOND = 1_000_000
METRES = {("a", "b"): 120.0, ("b", "c"): 60.0, ("a", "c"): 180.0}


def one_way_m(start, end):
    """Driving is only possible from a by b to c."""
    return 0.0 if start == end else METRES.get((start, end), inf)


def shot(camera, at_s, look=None, tracklet="t"):
    return Shot(tracklet=tracklet, camera=camera, at=T0 + round(at_s * SECOND), look=look)


def vehicle(name, *shots):
    return Candidate(vehicle=name, shots=shots)


def order(ranked):
    return [one.vehicle for one in ranked]


NEAR_B = Anchor(camera="b", at=T0 + 60 * SECOND)

looks = st.floats(0.0, 1.0)
shots = st.builds(shot, st.sampled_from("abc"), st.integers(0, 600), looks, st.sampled_from("tuv"))
groups = st.lists(shots, min_size=1, max_size=5)
anchors = st.builds(
    Anchor,
    camera=st.sampled_from(["a", "b", "c", None]),
    at=st.one_of(st.none(), st.integers(0, 600).map(lambda s: T0 + s * SECOND)),
)


@given(groups, anchors, st.integers(0, 4), looks)
def test_a_better_look_never_lowers_a_score(seen, anchor, which, look):
    which %= len(seen)
    better = [*seen]
    better[which] = shot(seen[which].camera, (seen[which].at - T0) / SECOND, max(look, seen[which].look), seen[which].tracklet)
    before = rerank([vehicle("v", *seen)], anchor, one_way_m)[0]
    after = rerank([vehicle("v", *better)], anchor, one_way_m)[0]
    assert after.score >= before.score - 1e-12


@given(st.lists(st.tuples(st.integers(0, 600), st.floats(1e-6, 1.0)), min_size=1, max_size=5))
def test_the_unreachable_sinks_below_the_reachable_of_equal_look(times_and_looks):
    # The same shots, once by c, from where nothing can be reached, and once by the anchor's own camera.
    far = vehicle("far", *(shot("c", at_s, look) for at_s, look in times_and_looks))
    near = vehicle("near", *(shot("a", at_s, look) for at_s, look in times_and_looks))
    ranked = rerank([far, near], Anchor(camera="a", at=T0 + 601 * SECOND), one_way_m)
    assert order(ranked) == ["near", "far"]
    assert ranked[0].look == ranked[1].look
    assert ranked[1].score < ranked[0].score / 10


@given(st.lists(groups, max_size=4), anchors, st.randoms(use_true_random=False))
def test_order_of_candidates_and_shots_does_not_matter(seen, anchor, random):
    candidates = [vehicle(f"v{i}", *group) for i, group in enumerate(seen)]
    shuffled = [vehicle(one.vehicle, *random.sample(one.shots, len(one.shots))) for one in candidates]
    random.shuffle(shuffled)
    ranked, again = rerank(candidates, anchor, one_way_m), rerank(shuffled, anchor, one_way_m)
    assert [(one.vehicle, one.score, one.reasons, one.best) for one in ranked] == [
        (one.vehicle, one.score, one.reasons, one.best) for one in again
    ]


def test_shots_of_one_moment_add_up_to_the_last_bit_in_any_order():
    # 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ as doubles.
    orders = permutations([shot("a", 0, 0.1), shot("a", 0, 0.2), shot("a", 0, 0.3)])
    assert len({rerank([vehicle("v", *order)], Anchor(), one_way_m)[0].context for order in orders}) == 1


@given(groups, anchors)
def test_scores_are_between_zero_and_one(seen, anchor):
    (one,) = rerank([vehicle("v", *seen)], anchor, one_way_m)
    assert 0.0 <= one.score <= one.look <= 1.0
    assert 0.0 < one.context <= 1.0


def test_reasons_say_what_was_weighed_in_words_and_numbers():
    (one,) = rerank([vehicle("v", shot("a", 20, 0.81), shot("a", 19), shot("c", 130))], NEAR_B, one_way_m)
    assert one.reasons == (
        "0.81 look",
        "reachable in 40 s: 120 m at 3 m/s from a",
        "seen by a 2 times, seen by c 1 time",
    )


def test_a_vehicle_that_was_elsewhere_at_the_same_time_sinks():
    here, elsewhere = vehicle("here", shot("b", 61, 0.7)), vehicle("elsewhere", shot("b", 50, 0.9), shot("c", 60, 0.9))
    far = {("c", "b"): 90.0, ("b", "c"): 90.0}
    ranked = rerank([elsewhere, here], NEAR_B, lambda start, end: far.get((start, end), 0.0))
    assert order(ranked) == ["here", "elsewhere"]
    assert ranked[1].reasons[1] == "elsewhere: seen by c at the same time, 90 m away"


def test_driving_has_a_direction():
    before, after = vehicle("before", shot("a", 20, 0.8)), vehicle("after", shot("a", 100, 0.8))
    ranked = rerank([after, before], NEAR_B, one_way_m)
    assert order(ranked) == ["before", "after"]
    assert ranked[1].reasons[1] == "not reachable: no way from b to a"


def test_a_clock_difference_within_the_slack_is_no_proof_of_absence():
    (one,) = rerank([vehicle("v", shot("a", 59.5, 0.8))], NEAR_B, lambda *_: 15.0)
    assert one.context > 0.9


def test_with_a_camera_only_the_nearer_vehicle_comes_first():
    ranked = rerank([vehicle("far", shot("c", 0, 0.8)), vehicle("near", shot("b", 0, 0.8))], Anchor(camera="a"), one_way_m)
    assert order(ranked) == ["near", "far"]
    assert ranked[0].reasons[1] == "120 m from a, at b"


def test_with_a_time_only_the_vehicle_seen_then_comes_first():
    ranked = rerank(
        [vehicle("later", shot("b", 500, 0.8)), vehicle("then", shot("c", 61, 0.8))], Anchor(at=NEAR_B.at), one_way_m
    )
    assert order(ranked) == ["then", "later"]


def test_without_an_anchor_several_good_shots_beat_one():
    once, often = vehicle("a-once", shot("a", 0, 0.8)), vehicle("often", *(shot("a", 0, 0.8, f"t{n}") for n in range(4)))
    assert order(rerank([once, often], Anchor(), one_way_m)) == ["often", "a-once"]


def test_one_lucky_shot_is_worth_less_than_several_good_ones():
    assert pooled_look([0.9], 3) == pytest.approx(0.9)
    assert pooled_look([0.9, 0.3, 0.3], 3) == pytest.approx(0.7)  # (0.9 + 0.5) / 2
    assert pooled_look([0.9, 0.9, 0.9, 0.0], 3) == pytest.approx(0.9)


def test_plausibility_of_a_speed_is_a_half_at_the_cap_and_falls():
    parameters = RerankParameters()
    assert speed_plausibility(0.0, parameters) > 0.999
    assert speed_plausibility(15.0, parameters) == pytest.approx(0.5)
    assert speed_plausibility(40.0, parameters) < 1e-5
    assert speed_plausibility(1e9, parameters) == 0.0


def test_a_logistic_is_a_half_at_its_midpoint_and_grows():
    logistic = Logistic(midpoint=0.6, scale=0.1)
    assert logistic.probability(0.6) == pytest.approx(0.5)
    assert logistic.probability(0.7) == pytest.approx(0.7310586)
    assert 0.0 < logistic.probability(-1.0) < logistic.probability(1.0) < 1.0
    assert Logistic(midpoint=0.5, scale=1e-9).probability(0.0) > 0.0
