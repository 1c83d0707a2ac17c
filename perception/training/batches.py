# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""Batches of randomized frames, drawn in a worker process beside the training step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from perception.synthetic.seeds import generator
from perception.training.assignment import Labels
from perception.training.frames_dataset import CACHE_PX, KINDS, FramesDataset, Targets, boxes_of, targets_of
from perception.training.randomize import Picture, Strength, randomized
from perception.training.sampling import epoch_order, repeat_factors


@dataclass(frozen=True, slots=True)
class Stage:
    """How an epoch draws its pictures: width and height of the input, and how far frames are changed."""

    size_px: tuple[int, int]
    strength: Strength


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture to draw; the same sample is the same picture in every run.

    Attributes:
        place: in the epoch, so that a frame that comes twice is drawn in two ways.
    """

    epoch: int
    place: int
    frame: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class Batch:
    """B pictures and what is in them.

    Attributes:
        pictures: (B, 3, H, W) uint8 BGR, channels last in memory.
    """

    pictures: Tensor
    labels: Labels


class RandomizedFrames(Dataset[tuple[NDArray[np.uint8], Targets]]):
    """Draws samples from the decoded frames of a dataset."""

    def __init__(self, dataset: FramesDataset, pictures: NDArray[np.uint8], input_px: tuple[int, int], seed: int) -> None:
        self._frames = [boxes_of(frame, CACHE_PX) for frame in dataset.frames]
        self._pictures = pictures
        self._seed = seed
        at_network = [targets_of(boxes_of(frame, input_px)).kinds for frame in dataset.frames]
        self._factors = repeat_factors(at_network, len(KINDS))

    def order(self, epoch: int) -> list[int]:
        """The frames of an epoch; those with rare kinds come more often."""
        return epoch_order(self._factors, epoch, self._seed)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, sample: Sample) -> tuple[NDArray[np.uint8], Targets]:
        """(H, W, 3) picture and its targets."""
        cv2.setNumThreads(0)  # the cores belong to the training step
        rng = generator(self._seed, "sample", sample.epoch, sample.place, sample.frame)
        chosen = iter([sample.frame, *rng.integers(0, len(self._frames), 3).tolist()])

        def draw() -> Picture:
            index = next(chosen)
            return self._pictures[index], self._frames[index]

        image, boxes = randomized(draw, sample.stage.size_px, sample.stage.strength, rng)
        return image, targets_of(boxes)


def samples_of(epoch: int, stage: Stage, order: Sequence[int], batch: int) -> list[list[Sample]]:
    """An epoch's batches of frames in this order; a rest smaller than a batch is left out."""
    size = min(batch, len(order))
    samples = [Sample(epoch, place, frame, stage) for place, frame in enumerate(order)]
    return [samples[start : start + size] for start in range(0, len(order) - size + 1, size)]


def batches(frames: RandomizedFrames, wanted: Sequence[list[Sample]], workers: int) -> Iterator[Batch]:
    """The batches in order, drawn ahead by worker processes (0: drawn here)."""
    loader: DataLoader[Batch] = DataLoader(
        frames,
        batch_sampler=wanted,  # pyright: ignore[reportArgumentType] - samples instead of numbers
        num_workers=workers,
        collate_fn=joined,
        prefetch_factor=4 if workers else None,
    )
    yield from loader


def joined(drawn: Sequence[tuple[NDArray[np.uint8], Targets]]) -> Batch:
    """One batch of drawn pictures."""
    pictures = torch.from_numpy(np.stack([picture for picture, _ in drawn])).permute(0, 3, 1, 2)
    targets = [target for _, target in drawn]
    corners = np.concatenate([target.boxes_px for target in targets])
    boxes = np.concatenate((0.5 * (corners[:, :2] + corners[:, 2:]), corners[:, 2:] - corners[:, :2]), axis=1)
    labels = Labels(
        picture=_picture_of([len(target.boxes_px) for target in targets]),
        boxes=torch.from_numpy(boxes),
        kinds=torch.from_numpy(np.concatenate([target.kinds for target in targets])),
        ignored_picture=_picture_of([len(target.ignored_px) for target in targets]),
        ignored=torch.from_numpy(np.concatenate([target.ignored_px for target in targets])),
    )
    return Batch(pictures, labels)


def _picture_of(counts: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
