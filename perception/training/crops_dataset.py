"""Rendered crops of vehicles that pass several cameras, read from a folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.passes import CropLabel, read_crops
from twin.errors import BadInput


@dataclass(frozen=True, slots=True)
class CropsDataset:
    """A folder of crops.

    Attributes:
        pictures: (N, 128, 128, 3) uint8 BGR.
        labels: (N,) in the same order.
        digest: of the labels, 16 hexadecimal digits; names the data in checkpoints and model cards.
    """

    pictures: NDArray[np.uint8]
    labels: tuple[CropLabel, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.labels)


def load_crops(folder: Path) -> CropsDataset:
    """The crops of a folder; raises BadInput where there are none or a file is damaged."""
    try:
        pictures, labels = read_crops(folder)
    except (OSError, ValueError, msgspec.DecodeError) as wrong:
        raise BadInput(f"crops in '{folder}' cannot be read: {wrong}; render them again: perceive render crops") from None
    if not labels:
        raise BadInput(f"'{folder}' has no crops; render some: perceive render crops --out '{folder}'")
    if len(pictures) != len(labels):
        raise BadInput(f"'{folder}' has {len(pictures)} pictures and {len(labels)} labels; render the crops again")
    digest = hashlib.blake2b(msgspec.json.encode(labels), digest_size=8).hexdigest()
    return CropsDataset(pictures, tuple(labels), digest)
