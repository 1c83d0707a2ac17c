from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.reciprocal import agreement


def families(n, each, seed=0, spread=0.3):
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(n, 64)), each, axis=0)
    vectors = centres + spread * rng.normal(size=centres.shape)
    return np.rint(127 * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.int64)


def test_ones_own_family_agrees_and_others_do_not():
    shots = families(6, 10)
    found = agreement(shots[0], shots[1:], n_neighbours=9)
    assert found[:9].min() > 0.9
    assert found[9:].max() < 0.1


def test_without_shots_there_is_nothing_to_agree_with():
    assert agreement(families(1, 1)[0], np.zeros((0, 64), np.int64)).tolist() == []


@given(st.integers(0, 50), st.integers(1, 30), st.integers(1, 20))
def test_it_is_a_share_and_order_does_not_matter(seed, n, k):
    shots = families(n, 2, seed)
    found = agreement(shots[0], shots[1:], n_neighbours=k)
    assert ((found >= 0.0) & (found <= 1.0)).all()
    shuffled = np.random.default_rng(seed).permutation(len(shots) - 1)
    again = agreement(shots[0], shots[1:][shuffled], n_neighbours=k)
    if len(np.unique(shots, axis=0)) == len(shots) and k >= len(shots):
        np.testing.assert_array_equal(found[shuffled], again)
