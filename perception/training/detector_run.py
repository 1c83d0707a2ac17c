# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""From rendered frames to a detector's file, its metrics and its card: what ``perceive train detector`` does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch

from perception.onnx_detector import OnnxDetector
from perception.training.detector import DetectorTraining, Length
from perception.training.detector_metrics import MEASURED_FROM, DetectorMetrics, measure_detector
from perception.training.device import PROCESSOR, described
from perception.training.edge_errors import measure_box_sigma
from perception.training.export import export_detector
from perception.training.frames_dataset import read_frames
from perception.training.model_card import Origin, detector_card
from perception.training.recipe import DetectorRecipe
from twin.errors import BadInput

MODEL = "detector.onnx"


def train_detector(
    frames: Path,
    heldout: Path,
    out: Path,
    recipe: DetectorRecipe,
    length: Length,
    *,
    start: Path | None = None,
    threads: int,
    workers: int,
    device: torch.device = PROCESSOR,
) -> DetectorMetrics:
    """Train, export, measure and describe; every file goes into ``out``.

    Args:
        start: the detector that ``recipe.start`` names; None for random weights.

    Raises:
        BadInput: a folder that is no dataset, the same frames for training and measuring, or another run's checkpoint.
        ModelError: ``start`` is no detector of this kind, or the exported file does not compute what torch does.
    """
    dataset, measured = read_frames(frames), read_frames(heldout)
    if dataset.digest == measured.digest:
        raise BadInput(f"'{frames}' and '{heldout}' hold the same frames; measure on frames of other seeds")
    training = DetectorTraining(dataset, out, recipe, length, start=start, threads=threads, workers=workers, device=device)
    network = training.train().cpu()
    model = out / MODEL
    difference = export_detector(network, model, input_px=recipe.input_px, recipe=training.digest)
    detector = OnnxDetector(model, runtime="onnxruntime", lowest_score=MEASURED_FROM)
    metrics = measure_detector(detector, measured)
    sigma = measure_box_sigma(detector, measured)
    model.with_suffix(".sigma.json").write_bytes(msgspec.json.format(msgspec.json.encode(sigma), indent=2) + b"\n")
    model.with_suffix(".metrics.json").write_bytes(msgspec.json.format(msgspec.json.encode(metrics), indent=2) + b"\n")
    origin = Origin(
        command=_command(recipe, length, f"--device {device.type}" + (f" --threads {threads}" if device.type == "cpu" else "")),
        digest=training.digest,
        epochs=training.run.epochs,
        steps=training.run.step,
        trained_s=training.run.elapsed_s,
        ran_on=described(device, threads),
        torch=torch.__version__,
        difference=difference,
    )
    model.with_suffix(".md").write_text(detector_card(model, recipe, origin, dataset, measured, metrics))
    return metrics


def _command(recipe: DetectorRecipe, length: Length, where: str) -> str:
    """The command, without this machine's folders."""
    budget = f"--epochs {length.epochs}" if length.epochs else f"--minutes {length.minutes:g}"
    start = f" --start-from {recipe.start}" if recipe.start else ""
    return f"perceive train detector --frames FRAMES --heldout HELDOUT --out OUT{start} {budget} --seed {recipe.seed} {where}"
