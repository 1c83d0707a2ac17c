"""The packaged detector as what finds vehicles in pictures that are searched with."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.finder import FoundVehicle, VehicleFinder
from retrieval.images import Image

if TYPE_CHECKING:
    from perception.onnx_detector import OnnxDetector


class DetectorFinder:
    """A detector of the edge; opened when a picture comes first, as most services are never sent one."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._detector: OnnxDetector | None = None

    def find(self, image: Image) -> list[FoundVehicle]:
        """Best first."""
        from perception.onnx_detector import OnnxDetector

        if self._detector is None:
            self._detector = OnnxDetector(self._model)
        found = self._detector.detect(image)
        return [
            FoundVehicle(box_px=(x1, y1, x2, y2), score=score, kind=kind)
            for (x1, y1, x2, y2), score, kind in zip(found.boxes_px.tolist(), found.scores.tolist(), found.kinds, strict=True)
        ]


def packaged_finder() -> VehicleFinder | None:
    """The detector that came with this release; None where it, or what runs it, is not installed."""
    if find_spec("cv2") is None or not any(find_spec(runtime) for runtime in ("openvino", "onnxruntime")):
        return None
    from perception.models import packaged_if_any

    model = packaged_if_any("detector")
    return None if model is None else DetectorFinder(model)
