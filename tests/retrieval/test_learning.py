from __future__ import annotations

import numpy as np
import pytest

from retrieval.appearance import LookModel
from retrieval.learning import Search, learned_looks, learned_temper, learned_terms, tempered_terms
from retrieval.rerank import Evidence
from retrieval.weights import ANCHORED, FREE, Temper, Weights, probabilities, scaled


def seen(look, **given):
    return Evidence(look=look, reciprocal=0.0, plate=0.0, colour=0.0, kind="unknown", **given)


def searches(n, factor, rng):
    """Right vehicles are drawn by what looks are truly worth: ``factor`` times the nats they say."""
    found = []
    for _ in range(n):
        looks = rng.normal(0.0, 3.0, 8)
        shares = np.exp(factor * looks)
        right = rng.choice(8, p=shares / shares.sum())
        found.append(Search(evidence=tuple(seen(look) for look in looks), is_right=tuple(i == right for i in range(8))))
    return found


@pytest.mark.parametrize("factor", [0.3, 1.0])
def test_what_looks_are_truly_worth_is_learned(factor):
    terms = learned_terms(searches(800, factor, np.random.default_rng(1)), FREE, anchored=False)
    assert terms.look == pytest.approx(factor, rel=0.2)


def test_probabilities_of_learned_weights_are_frequencies():
    rng = np.random.default_rng(2)
    terms = learned_terms(searches(600, 0.5, rng), FREE, anchored=False)
    told, right = [], []
    for one in searches(600, 0.5, rng):
        chances = probabilities([found.score(terms) for found in one.evidence], terms.nobody)
        best = int(np.argmax(chances))
        told.append(chances[best])
        right.append(one.is_right[best])
    assert np.mean(told) == pytest.approx(np.mean(right), abs=0.08)  # a tenth is kept for vehicles that nobody knows


def test_from_no_search_the_weights_set_by_hand_stay():
    assert learned_terms([], ANCHORED, anchored=True) == ANCHORED


def test_what_speaks_against_right_vehicles_is_worth_less_than_before():
    one = Search(evidence=(seen(0.0, presence="elsewhere"), seen(0.0, presence="in_view")), is_right=(True, False))
    terms = learned_terms([one] * 50, ANCHORED, anchored=True)
    assert terms.presence["elsewhere"] > ANCHORED.presence["elsewhere"]
    assert terms.presence["in_view"] < ANCHORED.presence["in_view"]
    assert terms.presence["gone"] == ANCHORED.presence["gone"]


def test_groups_that_agree_with_each_other_are_believed_as_they_are():
    rng = np.random.default_rng(5)
    groups = [searches(80, 0.6, rng) for _ in range(3)]
    plain = learned_terms([one for group in groups for one in group], FREE, anchored=False)
    assert tempered_terms(groups, FREE, anchored=False).look == pytest.approx(plain.look, rel=0.1)


def test_what_holds_in_some_groups_and_not_in_others_is_told_less_surely():
    rng = np.random.default_rng(6)
    groups = [searches(80, factor, rng) for factor in (1.0, 1.0, 0.05)]
    plain = learned_terms([one for group in groups for one in group], FREE, anchored=False)
    tempered = tempered_terms(groups, FREE, anchored=False)
    assert tempered.look < 0.95 * plain.look
    assert tempered.nobody / plain.nobody == pytest.approx(tempered.look / plain.look, rel=0.01)


def test_of_one_group_nothing_can_be_left_out():
    group = searches(50, 0.6, np.random.default_rng(7))
    assert tempered_terms([group], FREE, anchored=False) == learned_terms(group, FREE, anchored=False)


def test_scaled_weights_keep_every_share_of_evidence():
    half = scaled(ANCHORED, 0.5)
    one = seen(3.0, presence="in_view", own="apart")
    assert half.nobody == ANCHORED.nobody / 2
    assert one.score(half) == pytest.approx(one.score(ANCHORED) / 2)


def test_weights_that_are_twice_too_sure_are_halved():
    rng = np.random.default_rng(8)
    terms = learned_terms(searches(300, 0.5, rng), FREE, anchored=False)
    tried = searches(300, 0.5, rng)
    assert learned_temper((one, terms) for one in tried) == pytest.approx(1.0, rel=0.15)
    assert learned_temper((one, scaled(terms, 2.0)) for one in tried) == pytest.approx(0.5, rel=0.15)
    assert learned_temper([]) == 1.0


def test_an_embedders_temper_is_of_its_searches_alone():
    weights = Weights(tempers={"real@2": Temper(free=0.5, anchored=0.25)})
    assert weights.of("simulated@1") == weights
    for embedder in ("real@2", "real@1"):
        assert weights.of(embedder).free == scaled(FREE, 0.5)
        assert weights.of(embedder).anchored.nobody == ANCHORED.nobody / 4


def test_variances_of_looks_are_found_again():
    rng = np.random.default_rng(3)
    n, cameras, tracklets, d = 60, 4, 3, 16
    rows, vehicles, seen_by = [], [], []
    for vehicle in range(n):
        look = rng.normal(0, np.sqrt(0.04), d)
        for camera in range(cameras):
            view = look + rng.normal(0, np.sqrt(0.015), d)
            for _ in range(tracklets):
                rows.append(127 * (view + rng.normal(0, np.sqrt(0.01), d)))
                vehicles.append(vehicle)
                seen_by.append(camera)
    n_views = np.full(len(rows), 2.0)
    whole = np.rint(rows).astype(np.int64)
    found = learned_looks(whole, np.array(vehicles), np.array(seen_by), 0.004 * d, n_views, LookModel())
    assert found.n_directions == pytest.approx(d, rel=0.25)
    assert found.between * found.n_directions == pytest.approx(0.04 * d, rel=0.25)
    assert found.view * found.n_directions == pytest.approx(0.015 * d, rel=0.35)
    assert found.tracklet * found.n_directions == pytest.approx((0.01 - 0.002) * d, rel=0.15)
    assert found.crop * found.n_directions == pytest.approx(0.004 * d, rel=0.01)


def test_of_a_handful_of_vehicles_nothing_is_learned():
    few = np.ones((6, 4), np.int64)
    assert learned_looks(few, np.arange(6), np.zeros(6, np.int64), 0.0, np.ones(6), LookModel()) == LookModel()
