"""A detector from ultralytics' own ``.pt`` files. AGPL-3.0: the only module beside training that imports ultralytics."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from perception.box_sigma import load_box_sigma
from perception.class_names import kinds_of
from perception.detect import LOWEST_SCORE, MAX_IOU, Detections, suppress, vehicles
from perception.frames import Image
from perception.model_file import model_id
from twin.errors import MissingExtra, ModelError

_DEFAULT_INPUT_PX = 640
_definitions: list[Any] = []  # torch forgets an operator with the library object that defined it

# before the first import of ultralytics: no package is installed and nobody is called at run time
os.environ["YOLO_AUTOINSTALL"] = "0"
os.environ["YOLO_OFFLINE"] = "1"
os.environ.setdefault("YOLO_VERBOSE", "False")


class UltralyticsDetector:
    """Runs a YOLO model with torch.

    Raises:
        MissingExtra: ultralytics or torch is not installed.
        ModelError: not a detection model, or one without a vehicle class.
    """

    def __init__(self, path: Path, *, input_px: int | None = None, lowest_score: float = LOWEST_SCORE) -> None:
        self._lowest_score = lowest_score
        self.id = model_id(path)
        self.box_sigma = load_box_sigma(path)
        self._input_px = input_px or _DEFAULT_INPUT_PX
        ultralytics, torch = ultralytics_packages(path)
        self.runtime = f"ultralytics {ultralytics.__version__}, torch {torch.__version__}"
        self.parallel = 1  # torch spreads each frame over the cores
        try:
            self._model = ultralytics.YOLO(str(path), task="detect")
            names = self._model.names
        except Exception as wrong:  # unpickling a file of unknown origin fails in every way there is
            raise ModelError(f"ultralytics cannot load '{path}': {wrong!r:.300}; check that it is a whole YOLO model") from None
        self._kinds = kinds_of([names[index] for index in range(len(names))])
        if not any(self._kinds):
            raise ModelError(
                f"model '{path}' has {len(names)} classes and none is a vehicle: {', '.join(names.values())[:200]}"
            )

    def scale(self, frame_px: tuple[int, int]) -> float:
        """Input pixels per frame pixel."""
        return self._input_px / max(frame_px)

    def detect(self, image: Image) -> Detections:
        """Vehicles of one (H, W, 3) BGR frame."""
        try:
            found = self._model.predict(
                image,
                imgsz=self._input_px,
                conf=self._lowest_score,
                iou=MAX_IOU,
                agnostic_nms=True,
                verbose=False,
                device="cpu",
            )[0].boxes
        except (RuntimeError, ValueError) as wrong:
            raise ModelError(f"'{self.id}' failed on a frame of {image.shape}: {wrong!s:.300}") from None
        boxes = found.xyxy.cpu().numpy().astype(np.float32)
        scores = np.zeros((len(boxes), len(self._kinds)), np.float32)
        scores[np.arange(len(boxes)), found.cls.cpu().numpy().astype(int)] = found.conf.cpu().numpy()
        return vehicles(boxes, scores, self._kinds, min_score=self._lowest_score)


def ultralytics_packages(path: Path) -> tuple[Any, Any]:
    missing = [name for name in ("ultralytics", "torch") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"'{path}' needs {' and '.join(missing)}; install '.[yolo]' (AGPL-3.0, see README), or export the model to .onnx"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch

        _mend_torchvision(torch)
        import ultralytics
    ultralytics.settings.update({"sync": False})
    return ultralytics, torch


def _mend_torchvision(torch: Any) -> None:
    """Let torchvision work where its compiled part does not fit torch, as a CUDA build beside a CPU torch.

    It then fails when it describes ``nms`` and ``qnms``, operators that nobody defined; a detector needs only the first.
    """
    try:
        importlib.import_module("torchvision")
        return
    except (RuntimeError, OSError) as wrong:
        if "nms" not in str(wrong):
            raise MissingExtra(
                f"torchvision does not fit torch {torch.__version__}: {wrong}; install '.[yolo]' again"
            ) from None
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _definitions.append(library)
    torchvision = importlib.import_module("torchvision")

    def nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
        rows = suppress(boxes.detach().cpu().numpy(), scores.detach().cpu().numpy(), iou_threshold)
        return torch.from_numpy(rows).to(boxes.device)

    torchvision.ops.nms = nms
