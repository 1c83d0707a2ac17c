# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""From rendered crops to an embedder's file, its metrics and its card: what ``perceive train embedder`` does."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import torch

from perception.embed import ColourEmbedder, OnnxEmbedder
from perception.training.crops_dataset import CropsDataset, load_crops
from perception.training.embedder import EmbedderLength, EmbedderRecipe, EmbedderTraining
from perception.training.embedder_metrics import EmbedderMetrics, Rank, measure_embedder
from perception.training.embedder_network import EmbedderNetwork
from perception.training.export import LICENCE, MAX_BYTES, MAX_DIFFERENCE, OPSET
from twin.errors import BadInput, ModelError

MODEL = "embedder.onnx"


def train_embedder(
    crops: Path, heldout: Path, out: Path, recipe: EmbedderRecipe, length: EmbedderLength, *, threads: int
) -> EmbedderMetrics:
    """Train, export, measure and describe; every file goes into ``out``.

    Raises:
        BadInput: a folder without crops, the same crops for training and measuring, or another run's checkpoint.
        ModelError: the exported file does not compute what torch does.
    """
    dataset, measured = load_crops(crops), load_crops(heldout)
    if dataset.digest == measured.digest:
        raise BadInput(f"'{crops}' and '{heldout}' hold the same crops; measure on crops of other seeds")
    training = EmbedderTraining(dataset, out, recipe, length, threads=threads)
    network = training.train()
    model = out / MODEL
    difference = export_embedder(network, model, side_px=recipe.side_px, recipe=training.digest)
    metrics = measure_embedder(OnnxEmbedder(model, runtime="onnxruntime"), measured)
    colours = measure_embedder(ColourEmbedder(), measured)
    model.with_suffix(".metrics.json").write_bytes(msgspec.json.format(msgspec.json.encode(metrics), indent=2) + b"\n")
    model.with_suffix(".md").write_text(
        _card(model, recipe, training, dataset, measured, (metrics, colours), difference, threads)
    )
    return metrics


def export_embedder(network: EmbedderNetwork, path: Path, *, side_px: int, recipe: str) -> float:
    """Write the ONNX file; returns the greatest difference between ONNX Runtime's output and torch's.

    Raises:
        ModelError: the file is too large or computes something else; it is not left behind then.
    """
    network.eval()
    partial = path.with_suffix(".partial.onnx")
    crop = torch.zeros(1, 3, side_px, side_px)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracing exporter is deprecated, but the other needs onnxscript
            torch.onnx.export(
                network,
                (crop,),
                str(partial),
                input_names=["crop"],
                output_names=["embedding"],
                opset_version=OPSET,
                dynamo=False,
            )
        model = onnx.load(partial)
        about = {"model_id": f"{path.stem}-{recipe}", "input": "RGB, ImageNet's mean and deviation", "licence": LICENCE}
        onnx.helper.set_model_props(model, about | {"recipe": recipe})
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, partial)
        difference = _largest_difference(network, partial, side_px)
        size = partial.stat().st_size
        if size > MAX_BYTES or not difference <= MAX_DIFFERENCE:
            raise ModelError(f"'{path}' would have {size} bytes and differ from torch by {difference:.2g}; it is not kept")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return difference


@torch.inference_mode()
def _largest_difference(network: EmbedderNetwork, path: Path, side_px: int) -> float:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.Generator(np.random.PCG64(0))
    worst = 0.0
    for strength in (0.3, 1.0, 3.0):
        crop = (strength * rng.standard_normal((1, 3, side_px, side_px))).astype(np.float32)
        (found,) = session.run(None, {"crop": crop})
        worst = max(worst, float(np.abs(np.asarray(found) - network(torch.from_numpy(crop)).numpy()).max()))
    return worst


def _card(
    model: Path,
    recipe: EmbedderRecipe,
    training: EmbedderTraining,
    dataset: CropsDataset,
    measured: CropsDataset,
    metrics: tuple[EmbedderMetrics, ...],
    difference: float,
    threads: int,
) -> str:
    """Markdown."""
    n_vehicles = len({one.vehicle for one in dataset.labels})
    n_parameters = sum(parameter.numel() for parameter in training.average.parameters())
    rows = [_row(one.embedder, name, found) for one in metrics for name, found in _ranks(one)]
    head = (
        "embedder",
        "comparison",
        "queries",
        "gallery",
        "rank-1, % (95 %)",
        "rank-5, %",
        "mAP, %",
        "rank-1 of look-alikes, %",
    )
    table = "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))
    return f"""# {metrics[0].embedder}

A residual network from a crop of a vehicle ({recipe.side_px} px square, RGB as ImageNet normalizes it) to 128 numbers,
{n_parameters / 1e6:.2f} M parameters, {model.stat().st_size / 1e6:.1f} MB, ONNX opset {OPSET}. Licence: {LICENCE}; trained from
scratch on pictures that this repository renders. It has seen rendered pictures only.

## Data

Training: {len(dataset)} crops of {n_vehicles} vehicles, digest {dataset.digest}. Held out (other seeds, light, bodies):
 {len(measured)} crops of {metrics[0].vehicles} vehicles, 20 % look-alikes, digest {measured.digest}.

## Training

```
perceive train embedder --crops CROPS --heldout HELDOUT --out OUT {training.options} --threads {threads}
```

{training.epoch} epochs, {training.step} steps, {training.elapsed_s / 60:.1f} minutes on {threads} threads of a CPU, torch
{torch.__version__}, run {training.digest}. ONNX Runtime equals torch within {difference:.1g}. Settings:

```json
{msgspec.json.format(msgspec.json.encode(recipe), indent=2).decode()}
```

## Metrics

Query and gallery are of different cameras; a vehicle counts once, by its best entry. Pooled: means over tracklets, the same
scene and light. Kinds apart: the gallery holds only the query's kind. Single: one crop against one crop.

{table}
"""


def _ranks(metrics: EmbedderMetrics) -> list[tuple[str, Rank | None]]:
    return [
        ("pooled", metrics.pooled),
        ("pooled, kinds apart", metrics.pooled_other_kinds_apart),
        ("single crops", metrics.single),
        ("pooled, day against night", metrics.day_to_night),
    ]


def _row(embedder: str, name: str, found: Rank | None) -> tuple[str, ...]:
    if found is None:
        return embedder, name, "0", *["-"] * 5
    doubles = "-" if found.rank1_lookalikes is None else f"{100 * found.rank1_lookalikes:.1f}"
    ranks = f"{100 * found.rank1:.1f} ({100 * found.lo95:.1f} to {100 * found.hi95:.1f})"
    return (
        embedder,
        name,
        str(found.n),
        f"{found.gallery:.0f}",
        ranks,
        f"{100 * found.rank5:.1f}",
        f"{100 * found.map:.1f}",
        doubles,
    )
