"""How vehicles look to a simulated embedder: identity plus noise, as little of either as there is in real appearance.

A look is a point on the unit sphere in ``_LOOK_DIMENSIONS`` dimensions (colour, shape, trim, …: real embeddings of vehicles
vary in few directions), turned into 128 components by orthonormal columns of a Hadamard matrix. Look-alikes share the
point up to ``_OWN``. Noise of norm sigma is split between the view (vehicle and camera), the tracklet and the crop, so
that pooling crops of a tracklet helps little, and pooling cameras more, as with real embedders.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.seeds import generator
from perception.synthetic.vehicles import Vehicle

EMBEDDER = "simulated-128@1"

_LOOK_DIMENSIONS = 16
_OWN = 0.35  # what sets look-alikes apart: dirt, stickers, load
_VIEW, _TRACKLET, _CROP = np.sqrt([0.5, 0.3, 0.2])  # shares of the noise's variance

Floats = NDArray[np.float64]


def _hadamard(order: int) -> Floats:
    matrix = np.ones((1, 1))
    while len(matrix) < order:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


_BASIS = _hadamard(128)[:, 3 : 3 + 7 * _LOOK_DIMENSIONS : 7] / np.sqrt(128)


class Looks:
    """The simulated embedder of one run; the same vehicle has the same identity in every camera."""

    def __init__(self, seed: int, sigma: float) -> None:
        self._seed, self._sigma = seed, sigma

    def embedding(self, vehicle: Vehicle, camera: str, tracklet: str, crop: int) -> bytes:
        """128 int8 components of one crop's embedding."""
        look = _unit(generator(self._seed, "look", vehicle.look))
        seen = look + _OWN * _unit(generator(self._seed, "own", vehicle.id))
        seen /= np.sqrt((seen * seen).sum())
        if self._sigma:
            view = _unit(generator(self._seed, "view", vehicle.id, camera))
            track = _unit(generator(self._seed, "tracklet look", vehicle.id, tracklet))
            one = _unit(generator(self._seed, "crop", vehicle.id, tracklet, crop))
            seen = seen + self._sigma * (_VIEW * view + _TRACKLET * track + _CROP * one)
        vector = (_BASIS * seen).sum(axis=1)
        return np.rint(127 * vector / np.sqrt((vector * vector).sum())).astype(np.int8).tobytes()


def _unit(rng: np.random.Generator) -> Floats:
    vector = rng.standard_normal(_LOOK_DIMENSIONS)
    return vector / np.sqrt((vector * vector).sum())
