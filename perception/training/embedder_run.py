# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""From rendered crops to an embedder's file, its metrics and its card: what ``perceive train embedder`` does."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import torch

from perception.embed import ColourEmbedder, OnnxEmbedder
from perception.training.crops_dataset import CropsDataset, load_crops
from perception.training.device import PROCESSOR, described
from perception.training.embedder import EmbedderLength, EmbedderTraining
from perception.training.embedder_card import embedder_card
from perception.training.embedder_export import export_embedder
from perception.training.embedder_metrics import EmbedderMetrics, measure_embedder
from perception.training.mobilenet import export_mobilenet
from perception.training.model_card import Origin
from perception.training.recipe import EmbedderRecipe
from twin.errors import BadInput, MissingExtra

MODEL = "embedder.onnx"


def train_embedder(
    crops: Path,
    heldout: Path,
    out: Path,
    recipe: EmbedderRecipe,
    length: EmbedderLength,
    *,
    start: Path | None = None,
    threads: int,
    device: torch.device = PROCESSOR,
) -> EmbedderMetrics:
    """Train, export, measure and describe; every file goes into ``out``.

    Args:
        start: the embedder that ``recipe.start`` names; None for random weights.

    Raises:
        BadInput: a folder without crops, the same crops for training and measuring, or another run's checkpoint.
        ModelError: ``start`` is no embedder of this kind, or the exported file does not compute what torch does.
    """
    dataset, measured = load_crops(crops), load_crops(heldout)
    if dataset.digest == measured.digest:
        raise BadInput(f"'{crops}' and '{heldout}' hold the same crops; measure on crops of other seeds")
    training = EmbedderTraining(dataset, out, recipe, length, start=start, threads=threads, device=device)
    network = training.train().cpu()
    model = out / MODEL
    difference = export_embedder(network, model, side_px=recipe.side_px, recipe=training.digest)
    metrics = measure_embedder(OnnxEmbedder(model, runtime="onnxruntime"), measured)
    model.with_suffix(".metrics.json").write_bytes(msgspec.json.format(msgspec.json.encode(metrics), indent=2) + b"\n")
    others, left_out = compared(measured)
    command = _command(recipe, length, f"--device {device.type}" + (f" --threads {threads}" if device.type == "cpu" else ""))
    origin = Origin(
        command=command,
        digest=training.digest,
        epochs=training.epoch,
        steps=training.step,
        trained_s=training.elapsed_s,
        ran_on=described(device, threads),
        torch=torch.__version__,
        difference=difference,
    )
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    card = embedder_card(model, recipe, origin, n_parameters, (dataset, measured), (metrics, *others), left_out)
    model.with_suffix(".md").write_text(card)
    return metrics


def compared(measured: CropsDataset) -> tuple[list[EmbedderMetrics], list[str]]:
    """Metrics of embedders that need no training of ours, and a sentence for each that is not installed."""
    others, left_out = [measure_embedder(ColourEmbedder(), measured)], list[str]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mobilenetv2.onnx"
        try:
            export_mobilenet(path)
        except MissingExtra as absent:
            left_out.append(f"MobileNetV2 was not measured: {absent}.")
        else:
            others.append(measure_embedder(OnnxEmbedder(path, runtime="onnxruntime"), measured))
    return others, left_out


def _command(recipe: EmbedderRecipe, length: EmbedderLength, where: str) -> str:
    """As it was given, without this machine's folders."""
    budget = f"--epochs {length.epochs}" if length.epochs else f"--minutes {length.minutes:g}"
    start = f" --start-from {recipe.start}" if recipe.start else ""
    return f"perceive train embedder --crops CROPS --heldout HELDOUT --out OUT{start} {budget} --seed {recipe.seed} {where}"
