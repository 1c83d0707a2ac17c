"""Rendered frames with their truth, read from a folder, and the one rule of what counts as a target."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import cv2
import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from perception.frames import Image
from twin.errors import BadInput
from twin.events.observations import VehicleKind

Floats = NDArray[np.float32]

KINDS: tuple[VehicleKind, ...] = get_args(VehicleKind)[:5]
"""The detector's classes in the contract's order; bicycles are not rendered."""
CACHE_PX = (640, 360)
"""Frames are kept decoded at this size: a little over the network's, so that crops stay sharp."""
MIN_VISIBLE = 0.2
MIN_SIDE_PX = 6.0


class VehicleTruth(Struct, frozen=True):
    """A vehicle with at least one visible pixel; boxes are x1, y1, x2, y2 in the frame's pixels.

    Attributes:
        box_px: around its visible pixels.
        full_box_px: around all of it, clipped to the frame.
        visible: share of its pixels that nothing hides, 0..1.
    """

    vehicle: str
    kind: VehicleKind
    body: str
    box_px: tuple[float, float, float, float]
    full_box_px: tuple[float, float, float, float]
    visible: float
    is_truncated: bool


class FrameTruth(Struct, frozen=True):
    """A picture and every vehicle in it.

    Attributes:
        image: path inside the folder.
        number: of the frame among those of its seed.
        light: "day", "low", "cloud", "dusk" or "night".
        rain: 0 for none.
        frame_px: width and height.
    """

    image: str
    seed: int
    light: str
    rain: float | bool
    wet: float
    frame_px: tuple[int, int]
    vehicles: tuple[VehicleTruth, ...]
    number: int = 0


@dataclass(frozen=True, slots=True)
class FramesDataset:
    """A folder of rendered frames.

    Attributes:
        digest: of the labels and the pictures' sizes, 16 hexadecimal digits; names the data in checkpoints and cards.
    """

    folder: Path
    frames: tuple[FrameTruth, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.frames)

    def image(self, index: int) -> Image:
        """(H, W, 3) BGR frame; raises BadInput where the file is missing, broken or of another size."""
        frame = self.frames[index]
        image = cv2.imread(str(self.folder / frame.image), cv2.IMREAD_COLOR)
        if image is None:
            raise BadInput(f"'{self.folder / frame.image}' is missing or no picture; render the dataset again")
        if (image.shape[1], image.shape[0]) != frame.frame_px:
            raise BadInput(
                f"'{self.folder / frame.image}' is {image.shape[1]}x{image.shape[0]}, but its label says "
                f"{frame.frame_px[0]}x{frame.frame_px[1]}; render the dataset again"
            )
        return np.asarray(image, np.uint8)


def read_frames(folder: Path) -> FramesDataset:
    """The dataset in a folder: all of its ``frames*.jsonl``, by seed and number.

    Raises:
        BadInput: no frames there, a line that is none, or a picture that is missing.
    """
    parts = sorted(folder.glob("frames*.jsonl"))
    by_image = {frame.image: frame for part in parts for frame in _frames_in(part)}  # a part and a joined file may overlap
    frames = sorted(by_image.values(), key=lambda frame: (frame.seed, frame.number))
    if not frames:
        raise BadInput(f"'{folder}' holds no frames*.jsonl with frames in it; give a folder of rendered frames")
    digest = hashlib.blake2b(digest_size=8)
    for frame in frames:
        try:
            n_bytes = (folder / frame.image).stat().st_size
        except OSError as wrong:
            raise BadInput(f"'{folder / frame.image}': {wrong.strerror}; render the dataset again") from None
        digest.update(msgspec.json.encode((frame, n_bytes)))
    return FramesDataset(folder, tuple(frames), digest.hexdigest())


def _frames_in(path: Path) -> Iterator[FrameTruth]:
    decoder = msgspec.json.Decoder(FrameTruth)
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            return  # the renderer was stopped while it wrote this one
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError as wrong:
            raise BadInput(f"'{path}' line {number}: {wrong}; render the dataset again") from None


@dataclass(frozen=True, slots=True)
class Boxes:
    """Vehicles of one picture as columns; V rows.

    Attributes:
        px: (V, 4) corners.
        kinds: (V,) index into ``KINDS``, -1 for others.
        visible: (V,) share of the vehicle that can be seen.
    """

    px: Floats
    kinds: NDArray[np.int64]
    visible: Floats

    def moved(self, matrix: NDArray[np.float64], into_px: tuple[float, float, float, float]) -> Boxes:
        """Through an axis-parallel (2, 3) affine map and clipped to x1, y1, x2, y2; what a cut removes is not visible."""
        corners = self.px.reshape(-1, 2, 2) * matrix[[0, 1], [0, 1]] + matrix[:, 2]
        whole = np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)
        low, high = np.array(into_px[:2]), np.array(into_px[2:])
        cut = np.concatenate((np.clip(whole[:, :2], low, high), np.clip(whole[:, 2:], low, high)), axis=1)
        kept = np.prod(cut[:, 2:] - cut[:, :2], axis=1) / np.maximum(np.prod(whole[:, 2:] - whole[:, :2], axis=1), 1e-9)
        rows = np.flatnonzero(kept > 0.0)
        visible = (self.visible * kept).astype(np.float32)
        return Boxes(cut[rows].astype(np.float32), self.kinds[rows], visible[rows])

    @classmethod
    def joined(cls, parts: Sequence[Boxes]) -> Boxes:
        """All rows of all parts."""
        return cls(
            np.concatenate([part.px for part in parts]),
            np.concatenate([part.kinds for part in parts]),
            np.concatenate([part.visible for part in parts]),
        )


def boxes_of(frame: FrameTruth, size_px: tuple[int, int]) -> Boxes:
    """A frame's vehicles in a picture of this size."""
    scale = np.array([size_px[0] / frame.frame_px[0], size_px[1] / frame.frame_px[1]] * 2)
    px = np.array([vehicle.box_px for vehicle in frame.vehicles], np.float64).reshape(-1, 4) * scale
    kinds = [KINDS.index(vehicle.kind) if vehicle.kind in KINDS else -1 for vehicle in frame.vehicles]
    visible = np.array([vehicle.visible for vehicle in frame.vehicles], np.float32)
    return Boxes(px.astype(np.float32), np.array(kinds, np.int64), visible)


@dataclass(frozen=True, slots=True)
class Targets:
    """What the detector is asked to find in one network input, and where it is not judged.

    Attributes:
        boxes_px: (T, 4) corners in network pixels.
        kinds: (T,) index into ``KINDS``.
        ignored_px: (R, 4) corners of vehicles that are too small or too hidden to be asked for.
    """

    boxes_px: Floats
    kinds: NDArray[np.int64]
    ignored_px: Floats


def targets_of(boxes: Boxes) -> Targets:
    """The rule: a vehicle of a known kind, at least 0.2 visible and 6 px on its short side at network size is a target."""
    short_px = np.min(boxes.px[:, 2:] - boxes.px[:, :2], axis=1, initial=np.inf)
    is_target = (boxes.visible >= MIN_VISIBLE) & (short_px >= MIN_SIDE_PX) & (boxes.kinds >= 0)
    return Targets(boxes.px[is_target], boxes.kinds[is_target], boxes.px[~is_target])


def decoded(dataset: FramesDataset, cache: Path) -> NDArray[np.uint8]:
    """(N, 360, 640, 3) BGR pictures of all frames, memory-mapped from a file that is written on first use."""
    path = cache / f"frames-{dataset.digest}.npy"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        _decode_all(dataset, partial)
        os.replace(partial, path)
    return np.load(path, mmap_mode="r")


def _decode_all(dataset: FramesDataset, path: Path) -> None:
    shape = (len(dataset), CACHE_PX[1], CACHE_PX[0], 3)
    pictures = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)

    def fill(index: int) -> None:
        # bilinear, as the detector fits frames: the same aliasing in training as in use
        pictures[index] = cv2.resize(dataset.image(index), CACHE_PX)

    with ThreadPoolExecutor(max_workers=2) as pool:
        for _ in pool.map(fill, range(len(dataset))):
            pass
    pictures.flush()
