"""What is worked out at once is, to the last bit, what each candidate gives by itself in plain words."""

from __future__ import annotations

from math import exp, fsum, inf, isinf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.appearance import OUTLIERS, LookModel, Looks, Shots, nats_of_vehicles
from retrieval.columns import ShotTable, columns_of
from retrieval.context import HARD, Drive, Shot, own_of
from retrieval.reciprocal import agreement

SECOND = 1_000_000
T0 = 1_767_225_600_000_000
METRES = {("a", "b"): 120.0, ("b", "c"): 60.0, ("a", "c"): 180.0, ("d", "b"): 0.0, ("b", "d"): 60.0}


def one_way_m(start, end):
    return 0.0 if start == end else METRES.get((start, end), inf)


def shot(camera, at_s, look):
    return Shot(tracklet="t", camera=camera, at=T0 + at_s * SECOND, look=look)


seen_often = st.lists(
    st.builds(shot, st.sampled_from("abcd"), st.integers(-60, 60), st.sampled_from([None, 0.2, 0.95])), max_size=8
)
vehicles = st.lists(seen_often, max_size=6)
times = st.integers(-70, 70).map(lambda s: T0 + s * SECOND)


def hardest_drive(shots, camera, at):
    """Of one vehicle, in plain words."""
    shots = sorted(shots, key=lambda one: one.at)
    before, after = [one for one in shots if one.at <= at], [one for one in shots if one.at > at]
    around = [one for one in before if one.at >= before[-1].at - 2 * SECOND]
    around += [one for one in after if one.at <= after[0].at + 2 * SECOND]
    drives = []
    for one in around:
        metres = one_way_m(one.camera, camera) if one.at <= at else one_way_m(camera, one.camera)
        seconds = abs(one.at - at) / SECOND
        speed = metres / (seconds + 2.0)
        reach = "standing" if speed <= 1.0 else "driving" if speed <= 6.0 else "racing" if speed <= 14.0 else "impossible"
        drives.append(Drive(reach="no_way" if isinf(metres) else reach, camera=one.camera, metres=metres, seconds=seconds))
    return max(drives, key=lambda one: (HARD.index(one.reach), one.metres, one.camera), default=Drive(reach="unknown"))


@given(vehicles, st.sampled_from("abce"), times)
def test_drives_of_all_are_those_of_each(seen, camera, at):
    table = ShotTable([columns_of(shots) for shots in seen])
    assert table.drives(camera, at, one_way_m) == [hardest_drive(shots, camera, at) for shots in seen]


@given(vehicles, st.sampled_from("abce"), times)
def test_what_the_camera_itself_saw_of_all_is_that_of_each(seen, camera, at):
    told = []
    for shots in seen:
        own = [(abs(one.at - at) / SECOND, one.look) for one in shots if one.camera == camera]
        gap_s = min((gap for gap, _ in own), default=inf)
        told.append((own_of(gap_s, any(gap <= 2.0 and look is not None and look >= 0.9 for gap, look in own)), gap_s))
    assert ShotTable([columns_of(shots) for shots in seen]).own(camera, at, 0.9) == told


@given(vehicles, st.sampled_from("abce"))
def test_the_shortest_way_of_all_is_that_of_each(seen, camera):
    told = []
    for shots in seen:
        ways = sorted((one_way_m(camera, one.camera), one.camera) for one in shots)
        metres, name = ways[0] if ways else (0.0, None)
        reach = "unknown" if not ways else "no_way" if isinf(metres) else "standing" if metres <= 0.0 else "driving"
        told.append(Drive(reach=reach, camera=name, metres=metres))
    assert ShotTable([columns_of(shots) for shots in seen]).nearest(camera, one_way_m) == told


@given(vehicles, st.sampled_from("abce"), times, st.integers(0, 30))
def test_who_was_seen_between_two_times_is_found(seen, camera, from_at, seconds):
    until_at = from_at + seconds * SECOND
    told = [any(one.camera == camera and from_at <= one.at <= until_at for one in shots) for shots in seen]
    assert ShotTable([columns_of(shots) for shots in seen]).seen_by(camera, from_at, until_at).tolist() == told


def nats_of_one(probe, gallery, camera, model, n_tracklets, n_views):
    """The likelihood ratio of one vehicle in plain words: every sum rounded once, in the order of the cameras."""
    mean = np.array(model.mean, np.int64) if model.mean else np.zeros(len(probe), np.int64)
    rows = [[int(x) for x in row] for row in (probe, mean, *(one.total for one in gallery))]
    products = [[float(sum(x * y for x, y in zip(a, b, strict=True))) for b in rows] for a in rows]
    noise = [model.view + model.tracklet / one.n_tracklets + model.crop / one.n_views for one in gallery]
    shared = [model.between + (model.view if one.camera == camera else 0.0) for one in gallery]
    plain, bent = [s / n for s, n in zip(shared, noise, strict=True)], [1.0 / n for n in noise]
    pull = model.between * fsum(plain) / (1.0 + model.between * fsum(bent))
    weights = [p - pull * b for p, b in zip(plain, bent, strict=True)]
    spread = model.between + (model.view + model.tracklet / n_tracklets + model.crop / max(n_views, n_tracklets))
    left = spread - fsum(w * s for w, s in zip(weights, shared, strict=True))
    off = [1.0, fsum(weights) - 1.0, *(-(w / one.n_tracklets) for w, one in zip(weights, gallery, strict=True))]
    terms = [a * a * products[i][i] for i, a in enumerate(off)]
    terms += [2.0 * off[i] * off[j] * products[i][j] for i in range(len(off)) for j in range(i)]
    plain2 = (products[0][0] - 2.0 * products[0][1] + products[1][1]) / 127**2
    nats = 0.5 * (model.n_directions * log(spread / left) + plain2 / spread - fsum(terms) / 127**2 / left)
    return nats if nats > 30.0 else log(OUTLIERS + (1.0 - OUTLIERS) * exp(max(nats, -30.0)))


@pytest.mark.parametrize("has_mean", [False, True])
@given(seed=st.integers(0, 10_000), n_tracklets=st.integers(1, 3), n_views=st.integers(1, 5))
def test_looks_of_all_are_those_of_each_to_the_last_bit(has_mean, seed, n_tracklets, n_views):
    rng = np.random.default_rng(seed)
    unit = rng.normal(size=(60, 24))
    vectors = np.rint(127 * unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.int64)
    model = LookModel(mean=tuple(vectors[-1].tolist()) if has_mean else ())
    galleries = []
    for _ in range(int(rng.integers(1, 9))):
        names = "abcdefg"[: int(rng.integers(0, 8))]
        sizes = rng.integers(1, 5, size=len(names))
        galleries.append(
            [
                Shots(camera=name, total=vectors[rng.integers(59, size=n)].sum(axis=0), n_tracklets=int(n), n_views=int(2 * n))
                for name, n in zip(names, sizes, strict=True)
            ]
        )
    given_to = {"n_tracklets": n_tracklets, "n_views": n_views}
    found = nats_of_vehicles(vectors[0], [Looks.of(one) for one in galleries], "b", model, **given_to)
    told = [nats_of_one(vectors[0], one, "b", model, n_tracklets, n_views) if one else 0.0 for one in galleries]
    assert [one.hex() for one in found] == [one.hex() for one in told]


def shares(probe, shots, k):
    """Jaccard of k-reciprocal neighbourhoods as sets, by the paper."""
    vectors = np.concatenate([probe[None], shots]).astype(np.float64)
    products = vectors @ vectors.T
    lengths = np.sqrt(products.diagonal())
    alike = products / lengths / lengths[:, None]

    def mutual(k):
        least = [sorted(row)[-min(len(row), k + 1)] for row in alike.tolist()]
        near = alike >= np.array(least)[:, None]
        return [set(np.flatnonzero(row)) for row in near & near.T]

    own, half = mutual(k), mutual(max(1, k // 2))
    wide = [one.union(*(half[j] for j in one if 3 * len(one & half[j]) >= 2 * len(half[j]))) for one in own]
    return [len(wide[0] & one) / max(1, len(wide[0] | one)) for one in wide[1:]]


@pytest.mark.parametrize("length", [127, 40_000])  # products that float32 holds, and such that it does not
@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), k=st.integers(1, 15))
def test_neighbourhoods_in_matrices_are_those_of_sets_to_the_last_bit(length, seed, n, k):
    rng = np.random.default_rng(seed)
    unit = np.repeat(rng.normal(size=(8, 32)), 6, axis=0)[: n + 1] + 0.4 * rng.normal(size=(n + 1, 32))
    vectors = np.rint(length * unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.int64)
    assert agreement(vectors[0], vectors[1:], k).tolist() == shares(vectors[0], vectors[1:], k)
