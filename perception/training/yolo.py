"""Fine-tunes a YOLO of ultralytics (AGPL-3.0) on a user's own labelled frames, and exports it to ONNX.

The weights that come of it are the user's; under ultralytics' terms they stay AGPL-3.0 or need its licence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perception.ultralytics_detector import ultralytics_packages
from twin.errors import BadInput, ModelError

_LEAST_PX = 32


@dataclass(frozen=True, slots=True)
class YoloRecipe:
    """Settings of a fine-tuning.

    Attributes:
        input_px: side of the network's input, a multiple of 32.
        device: as torch names it; ``cpu``, ``0``, ``cuda:1``, ``mps``.
    """

    epochs: int = 50
    input_px: int = 640
    batch: int = 16
    device: str = "cpu"
    seed: int = 1


def fine_tune(data: Path, base: Path, out: Path, recipe: YoloRecipe) -> Path:
    """Train from ``base`` on the frames of a dataset in YOLO's format; returns the ONNX file in ``out``.

    Args:
        data: the dataset's YAML file: path, train, val, names.
        base: a .pt file on this machine; nothing is fetched.

    Raises:
        BadInput: no such dataset, or an input size that is no multiple of 32.
        MissingExtra: ultralytics or torch is not installed.
        ModelError: the base is no YOLO model, or ultralytics failed on the data.
    """
    if not data.is_file():
        raise BadInput(f"dataset '{data}' does not exist; give the .yaml file of a dataset in YOLO's format")
    if not base.is_file():
        raise BadInput(f"base model '{base}' does not exist; give a .pt file on this machine, such as yolo11n.pt")
    if recipe.input_px < _LEAST_PX or recipe.input_px % _LEAST_PX:
        raise BadInput(f"input size {recipe.input_px} is no multiple of {_LEAST_PX}; give 320, 480 or 640, say")
    ultralytics, _ = ultralytics_packages(base)
    try:
        model = ultralytics.YOLO(str(base), task="detect")
        model.train(
            data=str(data),
            epochs=recipe.epochs,
            imgsz=recipe.input_px,
            batch=recipe.batch,
            device=recipe.device,
            seed=recipe.seed,
            deterministic=True,
            workers=1,
            project=str(out.resolve()),
            name="run",
            exist_ok=True,
            plots=False,
            amp=False,  # its check for mixed precision fetches a model
        )
        best: Any = ultralytics.YOLO(str(out / "run" / "weights" / "best.pt"), task="detect")
        exported = Path(best.export(format="onnx", imgsz=recipe.input_px, opset=17, simplify=False, device="cpu"))
    except Exception as wrong:  # user data fails in every way there is, and ultralytics raises whatever it meets
        raise ModelError(f"ultralytics could not train '{base.name}' on '{data}': {wrong!s:.300}; check the dataset") from wrong
    return exported.replace(out / "detector.onnx")
