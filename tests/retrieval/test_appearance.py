from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from retrieval.appearance import LookModel, Looks, Shots, gaussian_nats, nats_of_one_vehicle, whole

E = 12
MODEL = LookModel(between=0.05, view=0.02, tracklet=0.01, crop=0.004, n_directions=E)


def drawn(seed, n=1):
    vectors = np.random.default_rng(seed).normal(size=(n, E))
    return np.rint(127 * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.int64)


def gallery(*sums, cameras=None, same=None):
    names = cameras or [f"c{n}" for n in range(len(sums))]
    return [
        Shots(camera=name, total=each.sum(axis=0), n_tracklets=len(each), n_views=2 * len(each), is_same_camera=name == same)
        for name, each in zip(names, sums, strict=True)
    ]


def log_likelihood(covariance, rows):
    return sum(multivariate_normal(np.zeros(len(covariance)), covariance).logpdf(rows[:, i]) for i in range(rows.shape[1]))


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 3))
def test_it_is_the_likelihood_ratio_of_the_gaussian_model(seed, n_first, n_second):
    """Against scipy's densities, direction by direction: the probe is of the first camera."""
    b, v, t = MODEL.between, MODEL.view, MODEL.tracklet
    crop, seen = MODEL.crop, MODEL.tracklet + MODEL.crop / 2  # two views a tracklet
    probe, first, second = drawn(seed)[0], drawn(seed + 1, n_first), drawn(seed + 2, n_second)
    known = np.array([[b + v + seen / n_first, b], [b, b + v + seen / n_second]])
    joint = np.array([[b + v + t + crop, b + v, b], [b + v, b + v + seen / n_first, b], [b, b, b + v + seen / n_second]])
    views = np.stack([first.mean(axis=0), second.mean(axis=0)]) / 127
    both = np.vstack([probe[None] / 127, views])
    expected = (
        log_likelihood(joint, both) - log_likelihood(known, views) - log_likelihood(np.array([[b + v + t + crop]]), both[:1])
    )
    found = gaussian_nats(probe, [Looks.of(gallery(first, second))], "c0", MODEL)[0]
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_no_look_alone_speaks_against_a_vehicle_for_sure():
    unlike = gallery(*(-drawn(9) for _ in range(4)))
    assert gaussian_nats(drawn(9)[0], [Looks.of(unlike)], None, MODEL)[0] < -10.0
    assert nats_of_one_vehicle(drawn(9)[0], unlike, MODEL) == pytest.approx(np.log(0.02), abs=0.01)


def test_nothing_follows_from_no_views():
    assert nats_of_one_vehicle(drawn(1)[0], [], MODEL) == 0.0


def test_views_of_several_cameras_say_more_than_as_many_of_one():
    look = drawn(3)
    one_camera = nats_of_one_vehicle(look[0], gallery(np.repeat(look, 4, axis=0)), MODEL)
    four_cameras = nats_of_one_vehicle(look[0], gallery(look, look, look, look), MODEL)
    assert four_cameras > one_camera > 0.0


def test_what_all_vehicles_share_speaks_for_none():
    shared = drawn(5)[0]
    model = LookModel(between=0.05, view=0.02, tracklet=0.01, crop=0.004, n_directions=E, mean=tuple(shared.tolist()))
    alike = gallery(shared[None])
    assert nats_of_one_vehicle(shared, alike, model) < nats_of_one_vehicle(shared, alike, MODEL)


def test_a_mean_of_tracklets_is_surer_than_one():
    look = drawn(7)
    others = gallery(look, look)
    assert nats_of_one_vehicle(look[0], others, MODEL, n_tracklets=8) > nats_of_one_vehicle(look[0], others, MODEL)


def test_a_unit_vector_becomes_whole_numbers():
    assert whole(np.array([0.6, -0.8], np.float32)).tolist() == [76, -102]


def test_views_are_their_own_from_half_way_to_what_is_the_same():
    assert MODEL.itself_from == pytest.approx(0.5 + 0.5 * 0.07 / 0.084)
