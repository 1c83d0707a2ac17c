"""Batches for metric learning: one group of vehicles, several crops of each, changed at random.

The vehicles of a group share places, cameras and light, and some are look-alikes, so that neither background nor light tells
them apart: what is left is the vehicle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.passes import CropLabel
from perception.synthetic.seeds import generator
from perception.training.crops_dataset import CropsDataset

_SAME_SCENE = 0.7  # share of a vehicle's crops in a batch that come from one scene, and so from one light
_GREY = 0.08


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

    def __init__(self, dataset: CropsDataset, seed: int, per_vehicle: int, side_px: int) -> None:
        self._dataset, self._seed, self._per_vehicle, self._side_px = dataset, seed, per_vehicle, side_px
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

    def epoch(self, number: int) -> Iterator[CropBatch]:
        """Its batches: groups in turn, in an order of the epoch's own."""
        rng = generator(self._seed, "crops", number)
        names = sorted(self._groups)
        order = np.concatenate([rng.permutation(len(names)) for _ in range(-(-self.n_batches // len(names)))])
        for group in order[: self.n_batches]:
            yield self._batch(self._groups[names[int(group)]], rng)

    def _batch(self, vehicles: list[str], rng: np.random.Generator) -> CropBatch:
        rows = [(self.number_of[name], row) for name in vehicles for row in self._draw(name, rng)]
        pictures = np.stack([changed(self._dataset.pictures[row], self._side_px, rng) for _, row in rows])
        return CropBatch(pictures, np.array([number for number, _ in rows], np.int64))

    def _draw(self, vehicle: str, rng: np.random.Generator) -> list[int]:
        """Crops of one vehicle, spread over cameras; most of one scene."""
        scenes = self._rows[vehicle]
        names = sorted(scenes)
        most = names[int(rng.integers(len(names)))]
        rows = list[int]()
        for _ in range(self._per_vehicle):
            scene = scenes[most] if rng.random() < _SAME_SCENE else scenes[names[int(rng.integers(len(names)))]]
            cameras = sorted(scene)
            crops = scene[cameras[int(rng.integers(len(cameras)))]]
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


def changed(picture: NDArray[np.uint8], side_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(S, S, 3): another cut of the crop, mirrored half the time, through another camera, partly covered."""
    side = picture.shape[0]
    low = rng.uniform(0.0, 0.10, 2) * side
    high = side - rng.uniform(0.0, 0.10, 2) * side
    part = picture[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    if rng.random() < 0.25:
        scale = rng.uniform(0.3, 0.8)
        part = cv2.resize(np.ascontiguousarray(part), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    result = cv2.resize(np.ascontiguousarray(part), (side_px, side_px), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    result = 255.0 * (np.clip(result, 0, 255) / 255.0) ** float(np.exp(rng.normal(0, 0.18)))
    result = result * (1 + rng.normal(0, 0.06, 3).astype(np.float32)) * float(rng.uniform(0.85, 1.15))
    if rng.random() < _GREY:
        result = np.repeat(result.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.5:
        result = result + rng.standard_normal((side_px, side_px, 1)).astype(np.float32) * float(rng.uniform(1, 9))
    if rng.random() < 0.3:
        _cover(result, rng)
    return np.clip(result, 0, 255).astype(np.uint8)


def _cover(picture: NDArray[np.float32], rng: np.random.Generator) -> None:
    """A plain block over a side or corner, as another vehicle's roof would."""
    side = picture.shape[0]
    width, height = (int(side * share) for share in rng.uniform(0.15, 0.5, 2))
    x, y = int(rng.integers(0, side - width)), int(rng.integers(0, side - height))
    picture[y : y + height, x : x + width] = rng.uniform(0, 255, 3)
