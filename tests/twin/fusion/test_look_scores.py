import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.fusion.appearance import FIRST_COSINE, N_KNOTS, PRIOR_NATS, STEP_COSINE
from twin.fusion.look_scores import LookScores, calibrated, with_scores

KNOTS = FIRST_COSINE + STEP_COSINE * np.arange(N_KNOTS)


def test_before_any_pair_was_seen_the_prior_holds_and_one_hardly_moves_it():
    assert LookScores().nats == PRIOR_NATS
    one = with_scores(LookScores(), "e@1", [0.9], [0.1])
    assert one.nats == pytest.approx(PRIOR_NATS, abs=0.25)


def test_many_pairs_give_the_ratio_of_their_densities():
    rng = np.random.default_rng(3)
    same, different = rng.normal(0.6, 0.15, 20_000), rng.normal(0.2, 0.15, 20_000)
    nats = np.array(with_scores(LookScores(), "e@1", same.tolist(), different.tolist()).nats)
    # of two normals of one width the logarithm of their ratio is a line; knots and smoothing make them wider
    expected = (KNOTS - 0.4) * (0.6 - 0.2) / (0.15**2 + STEP_COSINE**2 / 2 + STEP_COSINE**2 / 12)
    middle = (KNOTS > 0.05) & (KNOTS < 0.75)
    assert nats[middle] == pytest.approx(expected[middle], abs=0.35)


def test_an_embedder_that_tells_nothing_apart_is_believed_in_nothing():
    rng = np.random.default_rng(3)
    nats = with_scores(LookScores(), "e@1", rng.normal(0.7, 0.1, 5000).tolist(), rng.normal(0.7, 0.1, 5000).tolist()).nats
    assert np.abs(np.array(nats)[(KNOTS > 0.45) & (KNOTS < 0.95)]).max() < 0.2


@given(
    st.lists(st.floats(-1.0, 1.0), max_size=200),
    st.lists(st.floats(-1.0, 1.0), max_size=200),
    st.integers(1, 7),
)
def test_more_alike_never_speaks_against_and_the_order_of_pairs_does_not_matter(same, different, n):
    whole = with_scores(LookScores(), "e@1", same, different)
    assert all(low <= high + 1e-12 for low, high in itertools.pairwise(whole.nats))
    assert all(abs(one) <= 6.0 for one in whole.nats)
    parts = LookScores()
    for k in range(n):
        parts = with_scores(parts, "e@1", same[::-1][k::n], different[k::n])
    assert parts == whole


def test_another_embedder_begins_anew():
    before = with_scores(LookScores(), "e@1", [0.9] * 50, [0.8] * 50)
    after = with_scores(before, "e@2", [0.5], [])
    assert (after.embedder, sum(after.same), sum(after.different)) == ("e@2", 1, 0)


def test_it_is_told_whenever_there_were_twice_as_many_pairs_from_eight_on():
    scores, told = LookScores(), []
    for number in range(1, 70):
        after = with_scores(scores, "e@1", [0.8], [0.1, 0.2])
        if (fact := calibrated(scores, after)) is not None:
            told.append(number)
            assert (fact.embedder, fact.n_same, fact.n_different, len(fact.nats)) == ("e@1", number, 2 * number, N_KNOTS)
        scores = after
    assert told == [8, 16, 32, 64]
