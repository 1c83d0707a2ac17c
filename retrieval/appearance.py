"""How likely a view and a gallery of views show one vehicle: all of a vehicle's views together, each for what it adds. Pure.

Views of one vehicle are alike for what it is, and differ by what chance did to the vehicle before a camera (its side, the light
there), to a tracklet and to a crop. Two views of one tracklet so tell little more than one, views of several cameras far more.
This is the two-covariance model of speaker recognition with one level more, its variances alike in all directions, of which
embeddings fill fewer than they have components. Sources: Brümmer & de Villiers, "The speaker partitioning problem" (2010);
Ioffe, "Probabilistic linear discriminant analysis" (2006).

Vectors are whole numbers, so that their products are exact in any order and on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import exp, fsum, inf, log, nan

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from twin.events.ids import CameraId

Ints = NDArray[np.int64]

OUTLIERS = 0.02
"""Share of views that do not show what they are taken to show."""
_SURE = 30.0

ONE = 127
"""Length of a unit vector in whole numbers."""


class LookModel(Struct, frozen=True, kw_only=True):
    """What embeddings of one kind vary by; variances in each of ``n_directions``, of unit vectors.

    Attributes:
        between: from vehicle to vehicle.
        view: of one vehicle from camera to camera.
        tracklet: of one vehicle before one camera from tracklet to tracklet.
        crop: of one tracklet from view to view.
        n_directions: in how many directions vehicles vary.
        mean: (E,) of all vehicles, whole numbers; empty: zero.
    """

    between: float = 0.035
    view: float = 0.012
    tracklet: float = 0.006
    crop: float = 0.006
    n_directions: float = 16.0
    mean: tuple[int, ...] = ()

    @property
    def itself_from(self) -> float:
        """Cosine half way to 1 from that of two tracklets of a vehicle before a camera: above, views are of one tracklet."""
        shared = self.between + self.view
        return 0.5 + 0.5 * shared / (shared + self.tracklet + self.crop)


class Shots(Struct, frozen=True, kw_only=True, eq=False):
    """A vehicle's views before one camera.

    Attributes:
        total: (E,) sum of the tracklets' mean views, whole numbers.
        n_tracklets, n_views: how many, and of how many views they are.
        is_same_camera: whether the probe is of this camera.
    """

    camera: CameraId
    total: Ints
    n_tracklets: int
    n_views: int
    is_same_camera: bool = False


def whole(vector: NDArray[np.float32]) -> Ints:
    """An (E,) unit vector as whole numbers."""
    return np.rint(vector * np.float32(ONE)).astype(np.int64)


class Looks(Struct, frozen=True, kw_only=True, eq=False):
    """What a vehicle looks like before each of K cameras, and how much that rests on; made once, compared with many probes.

    Attributes:
        cameras: (K,) in order.
        totals: (K, E) sums of the tracklets' mean views, whole numbers.
        n_tracklets, n_views: (K,) how many, and of how many views they are.
        products: (K, K) of the totals with each other.
    """

    cameras: tuple[CameraId, ...]
    totals: NDArray[np.float32]
    n_tracklets: Ints
    n_views: Ints
    products: NDArray[np.float64]

    @classmethod
    def of(cls, shots: Sequence[Shots]) -> Looks:
        """That of shots of one vehicle, one entry a camera."""
        totals = np.array([one.total for one in shots], np.float64).reshape(len(shots), -1 if shots else 0)
        return cls(
            cameras=tuple(one.camera for one in shots),
            totals=totals.astype(np.float32),  # exact: whole numbers far below 2^24
            n_tracklets=np.array([one.n_tracklets for one in shots], np.int64),
            n_views=np.array([one.n_views for one in shots], np.int64),
            products=totals @ totals.T,  # of whole numbers far below 2^53: exact in whatever order
        )


def nats_of_one_vehicle(
    probe: Ints, gallery: Sequence[Shots], model: LookModel, *, n_tracklets: int = 1, n_views: int = 1
) -> float:
    """That of ``nats_of_vehicles`` for one; 0 without a gallery."""
    if not gallery:
        return 0.0
    same = next((one.camera for one in gallery if one.is_same_camera), None)
    return nats_of_vehicles(probe, [Looks.of(gallery)], same, model, n_tracklets=n_tracklets, n_views=n_views)[0]


def nats_of_vehicles(
    probe: Ints,
    galleries: Sequence[Looks],
    camera: CameraId | None,
    model: LookModel,
    *,
    n_tracklets: int = 1,
    n_views: int = 1,
) -> list[float]:
    """Of each vehicle, the log-likelihood ratio that the probe shows it, against any other; 0 without a gallery.

    That of ``gaussian_nats``, but that one view in ``1 / OUTLIERS`` tells nothing: it is hidden, or shows a neighbour. No look
    alone so speaks against a vehicle by more than 4 nats.
    """
    plain = gaussian_nats(probe, galleries, camera, model, n_tracklets=n_tracklets, n_views=n_views)
    return [
        0.0 if not each.cameras else one if one > _SURE else log(OUTLIERS + (1.0 - OUTLIERS) * exp(max(one, -_SURE)))
        for one, each in zip(plain, galleries, strict=True)
    ]


def gaussian_nats(
    probe: Ints,
    galleries: Sequence[Looks],
    camera: CameraId | None,
    model: LookModel,
    *,
    n_tracklets: int = 1,
    n_views: int = 1,
) -> list[float]:
    """Log-likelihood ratios of the model without outliers; those seen by equally many cameras are worked out at once.

    Args:
        probe: (E,) as of ``whole``.
        galleries: of one vehicle each; nan for one without any camera.
        camera: the probe's, if it is known.
        n_tracklets, n_views: whose mean the probe is, all before one camera.
    """
    by_size: dict[int, list[int]] = {}
    for number, one in enumerate(galleries):
        by_size.setdefault(-(-len(one.cameras) // _STEP) * _STEP, []).append(number)
    found, own = [nan] * len(galleries), model.view + model.tracklet / n_tracklets + model.crop / max(n_views, n_tracklets)
    for size, numbers in by_size.items():
        if size:
            alike = [galleries[number] for number in numbers]
            for number, nats in zip(numbers, _nats(probe, alike, size, camera, model, own), strict=True):
                found[number] = nats
    return found


_STEP = 4
"""Sizes that are worked out together: the rest is filled with what weighs nothing, and changes no sum."""


def _nats(probe: Ints, alike: Sequence[Looks], size: int, camera: CameraId | None, model: LookModel, own: float) -> list[float]:
    """Of V vehicles that up to K cameras saw. Sums of more than two are ``fsum``: rounded once, in whatever order."""
    mean = _mean_of(model, len(probe))
    products = _products(probe, mean, alike, size)
    n_tracklets, n_views, shared = (np.ones((len(alike), size)) for _ in range(3))
    noise = np.full((len(alike), size), inf)  # who saw nothing
    shared *= model.between
    for row, one in enumerate(alike):
        n = len(one.cameras)
        n_tracklets[row, :n], n_views[row, :n], noise[row, :n] = one.n_tracklets, one.n_views, 0.0
        if camera in one.cameras:
            shared[row, one.cameras.index(camera)] = model.between + model.view
    noise += model.view + model.tracklet / n_tracklets + model.crop / n_views
    weights = _solved(model.between, noise, shared)
    spread = model.between + own
    left = spread - _sums(weights * shared)
    # coefficients of probe - mean - sum of weights * (view mean - mean), over the rows
    ones = np.ones((len(alike), 1))
    off = np.concatenate([ones, _sums(weights)[:, None] - 1.0, -(weights / n_tracklets)], axis=1)
    far2 = _lengths2(off, products) / ONE**2
    first = products[0].tolist()
    plain2 = (first[0][0] - 2.0 * first[0][1] + first[1][1]) / ONE**2
    return [
        0.5 * (model.n_directions * log(spread / of_left) + plain2 / spread - of_far2 / of_left)
        for of_left, of_far2 in zip(left.tolist(), far2.tolist(), strict=True)
    ]


def _products(probe: Ints, mean: Ints, alike: Sequence[Looks], size: int) -> NDArray[np.float64]:
    """(V, K + 2, K + 2) of probe, mean and each vehicle's totals with each other: whole numbers, exact in whatever order."""
    both = np.array([probe, mean] if mean.any() else [probe], np.float64)
    n, found = len(both), np.zeros((len(alike), size + 2, size + 2))
    found[:, :n, :n] = both @ both.T
    # No sum of any of the terms is greater than the product of the lengths: below 2^24, it is exact as float32.
    longest = float(np.sqrt((both * both).sum(axis=1).max() * max(float(one.products.diagonal().max()) for one in alike)))
    rows = both.T.astype(np.float32) if longest < _EXACT else both.T
    for number, one in enumerate(alike):
        end = 2 + len(one.cameras)
        with_both = one.totals @ rows
        found[number, 2:end, :n] = with_both
        found[number, :n, 2:end] = with_both.T
        found[number, 2:end, 2:end] = one.products
    return found


_EXACT = 2.0**24


def _solved(between: float, noise: NDArray[np.float64], shared: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V, K) weights w of (between * ones + diag(noise)) w = shared, by Sherman and Morrison's formula."""
    plain, bent = shared / noise, 1.0 / noise
    pull = between * _sums(plain) / (1.0 + between * _sums(bent))
    return plain - pull[:, None] * bent


def _lengths2(coefficients: NDArray[np.float64], products: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V,) squared lengths of sums of vectors, by their products with each other."""
    rows, columns = np.tril_indices(coefficients.shape[1])
    twice = np.where(rows == columns, 1.0, 2.0) * coefficients[:, rows]
    return _sums(twice * coefficients[:, columns] * products[:, rows, columns])


def _sums(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V,) sums of rows, each rounded once."""
    if terms.shape[1] == 1:
        return terms[:, 0]
    return np.array([fsum(row) for row in terms.tolist()])


def _mean_of(model: LookModel, n_components: int) -> Ints:
    return _whole_mean(model.mean, n_components)


@lru_cache(maxsize=32)
def _whole_mean(mean: tuple[int, ...], n_components: int) -> Ints:
    return np.array(mean, np.int64) if len(mean) == n_components else np.zeros(n_components, np.int64)
