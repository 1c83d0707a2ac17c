"""Vectors as an embedder gives them: views of one vehicle lie together, vehicles lie anywhere. The same on every side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

N_COMPONENTS, VIEWS_A_VEHICLE, N_CAMERAS, CHUNK = 512, 50, 20, 1_000
_SPREAD = 0.65  # of a view around its vehicle, so that two views of one have a cosine of about 0.7
START_AT, DAY_US, PASSAGE_US = 1_767_225_600_000_000, 86_400_000_000, 20_000_000

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


class Views(NamedTuple):
    """Some of the views: vectors (N, E), and of each its vehicle, camera and time."""

    first: int
    vectors: Floats
    vehicles: Integers
    cameras: Integers
    at: Integers


class Probe(NamedTuple):
    """A view that is not stored, and what is asked of it when it is filtered."""

    vector: Floats
    camera: int
    from_at: int
    until_at: int


def n_vehicles(n: int) -> int:
    """Of how many vehicles ``n`` views are."""
    return max(1, n // VIEWS_A_VEHICLE)


def chunks(n: int) -> Iterator[Views]:
    """All ``n`` views, a thousand at a time; any of them alone is the same."""
    for first in range(0, n, CHUNK):
        draw = np.random.default_rng((1, n, first))
        vehicles = draw.integers(n_vehicles(n), size=min(CHUNK, n - first))
        cameras = draw.integers(N_CAMERAS, size=len(vehicles))
        # A camera sees a vehicle for seconds, some time of the day.
        passed = (vehicles * 40_503 + cameras * 7_919) * 15_485_863 % (DAY_US // PASSAGE_US) * PASSAGE_US
        yield Views(
            first=first,
            vectors=_around(vehicles, draw),
            vehicles=vehicles,
            cameras=cameras,
            at=START_AT + passed + draw.integers(PASSAGE_US, size=len(vehicles)),
        )


def probes(n: int, n_probes: int) -> list[Probe]:
    """Of vehicles that are stored; filtered to one of the cameras and a half of the day, a fortieth of the views."""
    draw = np.random.default_rng((2, n))
    vectors = _around(draw.integers(n_vehicles(n), size=n_probes), draw)
    starts = START_AT + draw.integers(DAY_US // 2, size=n_probes)
    cameras = draw.integers(N_CAMERAS, size=n_probes)
    return [Probe(vectors[i], int(cameras[i]), int(starts[i]), int(starts[i] + DAY_US // 2)) for i in range(n_probes)]


def exact(n: int, asked: list[Probe], k: int, *, is_filtered: bool) -> list[list[int]]:
    """The ``k`` nearest views of each probe, by comparing it with all."""
    stacked = np.stack([one.vector for one in asked])
    cosines = np.concatenate([views.vectors @ stacked.T for views in chunks(n)])
    if is_filtered:
        cameras = np.concatenate([views.cameras for views in chunks(n)])
        at = np.concatenate([views.at for views in chunks(n)])
        for i, one in enumerate(asked):
            cosines[~((cameras == one.camera) & (at >= one.from_at) & (at <= one.until_at)), i] = -2.0
    return [[int(j) for j in np.argsort(-cosines[:, i], kind="stable")[:k]] for i in range(len(asked))]


def id_of(number: int) -> UUID:
    """A view's id, which has its number in it."""
    return UUID(int=number + 1)


def number_of(name: object) -> int:
    """The view that an id is of."""
    return UUID(str(name)).int - 1


def _around(vehicles: Integers, draw: np.random.Generator) -> Floats:
    centres = np.stack([_centre(int(vehicle)) for vehicle in vehicles])
    noise = draw.standard_normal(centres.shape, dtype=np.float32) * np.float32(_SPREAD / np.sqrt(N_COMPONENTS))
    views = centres + noise
    return np.divide(views, np.linalg.norm(views, axis=1, keepdims=True), dtype=np.float32)


def _centre(vehicle: int) -> Floats:
    centre = np.random.default_rng((3, vehicle)).standard_normal(N_COMPONENTS, dtype=np.float32)
    return np.divide(centre, np.linalg.norm(centre), dtype=np.float32)
