"""A detector from an ``.onnx`` file (or OpenVINO's) with a YOLOv8/11 or YOLOX head."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from perception.box_sigma import load_box_sigma
from perception.class_names import COCO, kinds_of, parse_names
from perception.detect import LOWEST_SCORE, Detections, Floats, Letterbox, decode_yolov8, decode_yolox, head_of, vehicles
from perception.frames import Image
from perception.inference import Network, Runtime, open_network
from perception.model_file import model_id
from twin.errors import ModelError

_DEFAULT_INPUT_PX = 640


class OnnxDetector:
    """Runs the model once when made, to learn its head from its output and to warm it up.

    YOLOv8/11 take RGB 0..1 with the frame in the middle; YOLOX takes BGR 0..255 with the frame at the top left.

    Raises:
        ModelError: an unknown head, classes that do not fit it, or no vehicle among them.
    """

    def __init__(
        self,
        path: Path,
        *,
        runtime: Runtime = "auto",
        classes: tuple[str, ...] | None = None,
        input_px: int | None = None,
        lowest_score: float = LOWEST_SCORE,
    ) -> None:
        self._lowest_score = lowest_score
        self.id = model_id(path)
        self.box_sigma = load_box_sigma(path)
        self._network = open_network(path, runtime, is_parallel=True)
        self.runtime, self.parallel = self._network.runtime, self._network.parallel
        self._input_px = _input_size(path, self._network, input_px)
        probe = self._network.run(np.zeros((1, 3, self._input_px[1], self._input_px[0]), np.float32))
        self._head, n_classes = head_of(probe[0].shape, self._input_px)
        self._kinds = kinds_of(_class_names(path, n_classes, classes, self._network))
        if not any(self._kinds):
            raise ModelError(f"model '{path}' has {n_classes} classes and none is a vehicle; name them with --classes")

    def scale(self, frame_px: tuple[int, int]) -> float:
        """Input pixels per frame pixel."""
        return self._letterbox(frame_px).scale

    def detect(self, image: Image) -> Detections:
        """Vehicles of one (H, W, 3) BGR frame."""
        fit = self._letterbox((image.shape[1], image.shape[0]))
        raw = self._network.run(self._batch(fit.apply(image)))[0][0]
        boxes, scores = decode_yolox(raw, self._input_px) if self._head == "yolox" else decode_yolov8(raw)
        likely = np.flatnonzero(scores.max(axis=1) >= self._lowest_score)
        return vehicles(fit.to_frame(boxes[likely]), scores[likely], self._kinds, min_score=self._lowest_score)

    def _letterbox(self, frame_px: tuple[int, int]) -> Letterbox:
        return Letterbox.fit(frame_px, self._input_px, is_centred=self._head == "yolov8")

    def _batch(self, fitted: Image) -> Floats:
        if self._head == "yolov8":
            fitted = fitted[:, :, ::-1]
        batch = np.ascontiguousarray(fitted.transpose(2, 0, 1)[None], np.float32)
        return batch / np.float32(255.0) if self._head == "yolov8" else batch


def _input_size(path: Path, network: Network, asked: int | None) -> tuple[int, int]:
    """Width and height of the input: the model's own, else what was asked for, else 640."""
    if asked is not None and (asked < 32 or asked % 32):
        raise ModelError(f"--input-size {asked} is not a multiple of 32 from 32 on; the detector's grids need that")
    height, width = network.input_shape[2], network.input_shape[3]
    size = asked or _DEFAULT_INPUT_PX
    fixed = (width or size, height or size)
    if asked is not None and fixed != (asked, asked):
        raise ModelError(f"model '{path}' takes {fixed[0]}x{fixed[1]} only, but --input-size is {asked}; leave it out")
    return fixed


def _class_names(path: Path, n_classes: int, asked: tuple[str, ...] | None, network: Network) -> tuple[str, ...]:
    names = asked or parse_names(network.metadata.get("names", "")) or _names_beside(path)
    if names is None and n_classes == len(COCO):
        names = COCO
    if names is None:
        raise ModelError(f"model '{path}' has {n_classes} classes and does not name them; give --classes car,van,…")
    if len(names) != n_classes:
        raise ModelError(f"model '{path}' has {n_classes} classes, but {len(names)} names were given: {', '.join(names[:8])}…")
    return names


def _names_beside(path: Path) -> tuple[str, ...] | None:
    beside = path.with_name(f"{path.stem}.classes.json")
    if not beside.is_file():
        return None
    try:
        return msgspec.json.decode(beside.read_bytes(), type=tuple[str, ...])
    except (OSError, msgspec.DecodeError) as wrong:
        raise ModelError(f"'{beside}' is not a JSON list of class names: {wrong}") from None
