"""Batches for metric learning: one group of vehicles, several crops of each, changed at random.

The vehicles of a group share places, cameras and light, and some are look-alikes, so that neither background nor light tells
them apart: what is left is the vehicle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.passes import CropLabel
from perception.synthetic.seeds import generator
from perception.training.crops_dataset import CropsDataset
from perception.training.randomize_crop import any_tones, changed

_SAME_SCENE = 0.7  # share of a vehicle's crops in a batch that come from one scene, and so from one light
_OF_ONE_MAKE = 0.6  # share of batches with the tones of cameras of one make, among which colour tells more


@dataclass(frozen=True, slots=True)
class CropBatch:
    """B crops; ``vehicles`` number the identities over the whole dataset.

    Attributes:
        pictures: (B, S, S, 3) uint8 BGR.
        vehicles: (B,).
    """

    pictures: NDArray[np.uint8]
    vehicles: NDArray[np.int64]


class CropSampler:
    """Draws batches; the same seed and epoch give the same batches."""

    def __init__(self, dataset: CropsDataset, seed: int, per_vehicle: int) -> None:
        self._dataset, self._seed, self._per_vehicle = dataset, seed, per_vehicle
        names = sorted({label.vehicle for label in dataset.labels})
        self.number_of = {name: number for number, name in enumerate(names)}
        self._rows: dict[str, dict[str, dict[str, list[int]]]] = {}
        for row, label in enumerate(dataset.labels):
            scenes = self._rows.setdefault(label.vehicle, {})
            scenes.setdefault(label.scene, {}).setdefault(label.camera, []).append(row)
        self._groups: dict[str, list[str]] = {}
        for name in names:
            self._groups.setdefault(group_of(name), []).append(name)

    @property
    def n_batches(self) -> int:
        """Of one epoch, in which every crop is drawn about once."""
        return max(1, len(self._dataset) // (self._per_vehicle * max(len(group) for group in self._groups.values())))

    def epoch(self, number: int, side_px: int) -> Iterator[CropBatch]:
        """Its batches, of crops ``side_px`` square: groups in turn, in an order of the epoch's own."""
        rng = generator(self._seed, "crops", number)
        names = sorted(self._groups)
        order = np.concatenate([rng.permutation(len(names)) for _ in range(-(-self.n_batches // len(names)))])
        for group in order[: self.n_batches]:
            yield self._batch(self._groups[names[int(group)]], side_px, rng)

    def _batch(self, vehicles: list[str], side_px: int, rng: np.random.Generator) -> CropBatch:
        rows = [(self.number_of[name], row) for name in vehicles for row in self._draw(name, rng)]
        make = any_tones(rng) if rng.random() < _OF_ONE_MAKE else None
        pictures = np.stack([changed(self._dataset.pictures[row], side_px, rng, make) for _, row in rows])
        return CropBatch(pictures, np.array([number for number, _ in rows], np.int64))

    def _draw(self, vehicle: str, rng: np.random.Generator) -> list[int]:
        """Crops of one vehicle from its cameras in turn; most of one scene."""
        scenes = self._rows[vehicle]
        names = sorted(scenes)
        most = names[int(rng.integers(len(names)))]
        first = int(rng.integers(1 << 16))
        rows = list[int]()
        for turn in range(first, first + self._per_vehicle):
            scene = scenes[most if rng.random() < _SAME_SCENE else names[int(rng.integers(len(names)))]]
            cameras = sorted(scene)
            crops = scene[cameras[turn % len(cameras)]]
            rows.append(crops[int(rng.integers(len(crops)))])
        return rows


def group_of(vehicle: str) -> str:
    """The group that a vehicle was rendered with."""
    return vehicle.split("-")[0]


def lookalikes(labels: tuple[CropLabel, ...]) -> set[str]:
    """Vehicles that share their look with another."""
    by_look: dict[str, set[str]] = {}
    for label in labels:
        by_look.setdefault(label.look, set()).add(label.vehicle)
    return {vehicle for vehicles in by_look.values() if len(vehicles) > 1 for vehicle in vehicles}
