"""The port of detectors, and which adapter a model file needs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from perception.box_sigma import BoxSigma
from perception.detect import LOWEST_SCORE, Detections
from perception.frames import Image
from perception.inference import Runtime
from twin.errors import ModelError


class Detector(Protocol):
    """Finds vehicles in a frame."""

    @property
    def id(self) -> str:
        """Model and version, as logged with every frame."""
        ...

    @property
    def runtime(self) -> str: ...

    @property
    def box_sigma(self) -> BoxSigma: ...

    @property
    def parallel(self) -> int:
        """How many threads may call ``detect`` at once, to some gain."""
        ...

    def scale(self, frame_px: tuple[int, int]) -> float:
        """Input pixels per frame pixel, for frames of this size."""
        ...

    def detect(self, image: Image) -> Detections:
        """Vehicles with a score of at least ``LOWEST_SCORE``, or as the detector was opened; raises ModelError."""
        ...


def open_detector(
    model: Path | None,
    *,
    runtime: Runtime = "auto",
    classes: tuple[str, ...] | None = None,
    input_px: int | None = None,
    lowest_score: float = LOWEST_SCORE,
) -> Detector:
    """The detector for a model file: ``.pt`` through ultralytics, everything else through ONNX or OpenVINO.

    Args:
        lowest_score: boxes below this are not given; average precision wants them from far lower than a tracker does.

    Raises:
        ModelError: no model given, or one that cannot be used.
        MissingExtra: the package that runs it is not installed.
    """
    if model is None:
        raise ModelError(
            "no detector was given; add --detector MODEL with an .onnx file that has a YOLOv8/11 or YOLOX head, for "
            "instance yolox_nano.onnx from the releases of github.com/Megvii-BaseDetection/YOLOX (Apache-2.0)"
        )
    if model.suffix.lower() == ".pt":
        from perception.ultralytics_detector import UltralyticsDetector

        return UltralyticsDetector(model, input_px=input_px, lowest_score=lowest_score)
    from perception.onnx_detector import OnnxDetector

    return OnnxDetector(model, runtime=runtime, classes=classes, input_px=input_px, lowest_score=lowest_score)
