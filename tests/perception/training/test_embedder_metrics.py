import numpy as np
import pytest

from perception.training.embedder_metrics import Looks, pooled, rank, wilson


def _looks(vectors, vehicles, cameras=None, scenes=None):
    rows = np.array(vectors, float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    n = len(rows)
    return Looks(rows, np.array(vehicles), np.array(cameras or ["c"] * n), np.array(scenes or ["s"] * n))


def test_rank_counts_a_vehicle_once_by_its_best_entry():
    queries = _looks([(1, 0)], ["a"])
    gallery = _looks([(0.9, 0.1), (0.8, 0.2), (0.7, 0.3), (0, 1)], ["b", "b", "a", "a"])
    found = rank(queries, gallery, np.ones((1, 4), bool), set())
    assert (found.rank1, found.rank5, found.gallery) == (0.0, 1.0, 2.0)
    assert found.map == pytest.approx((1 / 3 + 2 / 4) / 2, abs=1e-4)


def test_what_may_not_be_compared_is_left_out_and_queries_without_a_right_answer_too():
    queries = _looks([(1, 0), (0, 1)], ["a", "z"])
    gallery = _looks([(1, 0), (0.9, 0.1)], ["b", "a"])
    found = rank(queries, gallery, np.array([[False, True], [True, True]]), {"a"})
    assert (found.n, found.rank1, found.rank1_lookalikes) == (1, 1.0, 1.0)
    assert rank(queries, gallery, np.zeros((2, 2), bool), set()) is None


def test_pooling_is_the_mean_of_a_tracklets_crops():
    crops = _looks([(1, 0), (0, 1), (1, 0)], ["a", "a", "b"])
    found = pooled(crops, ["t1", "t1", "t2"])
    assert found.vectors == pytest.approx(np.array([(0.5**0.5, 0.5**0.5), (1, 0)]))
    assert list(found.vehicles) == ["a", "b"]


def test_wilson_interval_of_half():
    assert wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
