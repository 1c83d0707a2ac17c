"""A tiny dataset of painted frames: coloured rectangles on noise stand for vehicles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from perception.synthetic.seeds import generator
from perception.training.frames_dataset import KINDS, FrameTruth, VehicleTruth

COLOURS = ((40, 40, 220), (40, 200, 40), (220, 60, 40), (40, 210, 230), (200, 60, 200))  # one a kind
FRAME_PX = (320, 180)


@pytest.fixture
def truth() -> Callable[..., VehicleTruth]:
    """``truth(box_px, kind="car", visible=1.0)``: a vehicle's label."""

    def labelled(box_px: tuple[float, float, float, float], kind: str = "car", visible: float = 1.0) -> VehicleTruth:
        return msgspec.convert(
            {
                "vehicle": "v",
                "kind": kind,
                "body": "box",
                "box_px": box_px,
                "full_box_px": box_px,
                "visible": visible,
                "is_truncated": False,
            },
            VehicleTruth,
        )

    return labelled


@pytest.fixture
def frame() -> Callable[..., FrameTruth]:
    """``frame(*vehicles, frame_px=(960, 540), light="day")``: a frame's label."""

    def labelled(*vehicles: VehicleTruth, frame_px: tuple[int, int] = (960, 540), light: str = "day", number: int = 0):
        return FrameTruth(f"images/{number:06d}.jpg", 1, light, 0.0, 0.0, frame_px, vehicles, number)

    return labelled


@pytest.fixture
def painted_frames(tmp_path, truth, frame) -> Callable[..., Path]:
    """``painted_frames(n, seed)``: a folder of n frames, a rectangle of its own colour for each vehicle."""

    def written(n: int, seed: int = 1) -> Path:
        folder = tmp_path / f"frames-{n}-{seed}"
        (folder / "images").mkdir(parents=True)
        labels = []
        for number in range(n):
            rng = generator(seed, "painted", number)
            image = rng.integers(60, 140, (FRAME_PX[1], FRAME_PX[0], 3), dtype=np.uint8)
            vehicles = []
            for column in rng.permutation(4)[: rng.integers(1, 5)].tolist():  # a column each: none hides another
                kind = int(rng.integers(len(KINDS)))
                x, y, w, h = column * 80 + rng.integers(0, 20), rng.integers(5, 110), rng.integers(30, 60), rng.integers(20, 60)
                cv2.rectangle(image, (int(x), int(y)), (int(x + w - 1), int(y + h - 1)), COLOURS[kind], -1)
                vehicles.append(truth((float(x), float(y), float(x + w), float(y + h)), KINDS[kind]))
            label = frame(*vehicles, frame_px=FRAME_PX, number=number)
            cv2.imwrite(str(folder / label.image), image)
            labels.append(msgspec.json.encode(label))
        (folder / "frames-000000.jsonl").write_bytes(b"\n".join(labels) + b"\n")
        return folder

    return written
