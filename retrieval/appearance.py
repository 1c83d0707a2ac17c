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
from math import exp, fsum, log

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


def nats_of_one_vehicle(
    probe: Ints, gallery: Sequence[Shots], model: LookModel, *, n_tracklets: int = 1, n_views: int = 1
) -> float:
    """Log-likelihood ratio that the probe shows the gallery's vehicle, against any other; 0 without a gallery.

    That of ``gaussian_nats``, but that one view in ``1 / OUTLIERS`` tells nothing: it is hidden, or shows a neighbour. No look
    alone so speaks against a vehicle by more than 4 nats.
    """
    if not gallery:
        return 0.0
    plain = gaussian_nats(probe, gallery, model, n_tracklets=n_tracklets, n_views=n_views)
    return plain if plain > _SURE else log(OUTLIERS + (1.0 - OUTLIERS) * exp(max(plain, -_SURE)))


def gaussian_nats(probe: Ints, gallery: Sequence[Shots], model: LookModel, *, n_tracklets: int = 1, n_views: int = 1) -> float:
    """Log-likelihood ratio of the model without outliers.

    Args:
        probe: (E,) as of ``whole``.
        gallery: of one vehicle, one entry a camera, at least one.
        n_tracklets, n_views: whose mean the probe is, all before one camera.
    """
    rows = np.array([probe, _mean_of(model, len(probe)), *(one.total for one in gallery)], np.float64)
    products = (rows @ rows.T).tolist()  # of whole numbers far below 2^53: exact in whatever order
    own = model.view + model.tracklet / n_tracklets + model.crop / max(n_views, n_tracklets)
    noise = [model.view + model.tracklet / one.n_tracklets + model.crop / one.n_views for one in gallery]
    shared = [model.between + (model.view if one.is_same_camera else 0.0) for one in gallery]
    weights = _solved(model.between, noise, shared)
    spread = model.between + own
    left = spread - fsum(w * s for w, s in zip(weights, shared, strict=True))
    # coefficients of probe - mean - sum of weights * (view mean - mean), over the rows
    each = [w / one.n_tracklets for w, one in zip(weights, gallery, strict=True)]
    off = [1.0, fsum(weights) - 1.0, *(-one for one in each)]
    far2 = _length2(off, products) / ONE**2
    plain2 = (products[0][0] - 2.0 * products[0][1] + products[1][1]) / ONE**2
    return 0.5 * (model.n_directions * log(spread / left) + plain2 / spread - far2 / left)


def _solved(between: float, noise: Sequence[float], shared: Sequence[float]) -> list[float]:
    """Weights w of (between * ones + diag(noise)) w = shared, by Sherman and Morrison's formula."""
    plain = [s / n for s, n in zip(shared, noise, strict=True)]
    bent = [1.0 / n for n in noise]
    pull = between * fsum(plain) / (1.0 + between * fsum(bent))
    return [p - pull * b for p, b in zip(plain, bent, strict=True)]


def _length2(coefficients: Sequence[float], products: Sequence[Sequence[float]]) -> float:
    """Squared length of the sum of vectors, by their products with each other."""
    terms = list[float]()
    for i, a in enumerate(coefficients):
        row, twice = products[i], 2.0 * a
        terms.append(a * a * row[i])
        terms += [twice * coefficients[j] * row[j] for j in range(i)]
    return fsum(terms)


def _mean_of(model: LookModel, n_components: int) -> Ints:
    return _whole_mean(model.mean, n_components)


@lru_cache(maxsize=32)
def _whole_mean(mean: tuple[int, ...], n_components: int) -> Ints:
    return np.array(mean, np.int64) if len(mean) == n_components else np.zeros(n_components, np.int64)
