"""The model card: what a model is, from which data and command it came, and what it was measured to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from perception.training.detector_metrics import MEASURED_FROM, DetectorMetrics, Share
from perception.training.frames_dataset import MIN_SIDE_PX, MIN_VISIBLE, FramesDataset
from perception.training.recipe import DetectorRecipe


class Origin(Struct, frozen=True, kw_only=True):
    """Where a model came from.

    Attributes:
        command: that trained it.
        digest: of recipe, data and length.
        trained_s: wall clock of the training, over all its runs.
        ran_on: the device, in words.
    """

    command: str
    digest: str
    epochs: int
    steps: int
    trained_s: float
    ran_on: str
    torch: str
    difference: float


def training_section(origin: Origin, recipe: Struct) -> list[str]:
    """How a model was trained, as paragraphs of its card."""
    return [
        "## Training\n",
        f"```\n{origin.command}\n```\n",
        f"{origin.epochs} epochs, {origin.steps} steps, {origin.trained_s / 60:.1f} minutes on {origin.ran_on}, torch "
        f"{origin.torch}, run {origin.digest}. ONNX Runtime equals torch within {origin.difference:.1g}. Settings:\n",
        f"```json\n{msgspec.json.format(msgspec.json.encode(recipe), indent=2).decode()}\n```\n",
    ]


def detector_card(
    model: Path,
    recipe: DetectorRecipe,
    origin: Origin,
    frames: FramesDataset,
    heldout: FramesDataset,
    metrics: DetectorMetrics,
) -> str:
    """Markdown."""
    size = f"{recipe.input_px[0]} x {recipe.input_px[1]}"
    parts = [
        f"# {metrics.model}\n",
        f"YOLOX-nano for vehicles ({', '.join(metrics.confusion)}), {size} px, BGR 0..255, "
        f"{model.stat().st_size / 1e6:.1f} MB, ONNX opset 17. Licence: Apache-2.0; trained with the model classes of "
        "pixeltable-yolox (Apache-2.0) on pictures that this repository renders.\n",
        "It has seen rendered pictures only. On real cameras use a detector that was trained on real pictures.\n",
        "## Data\n",
        _table(
            ("frames", "number", "vehicles", "seeds", "light", "digest"), [_row("training", frames), _row("held out", heldout)]
        ),
        f"A vehicle is a target if at least {MIN_VISIBLE:g} of it is visible and its box is {MIN_SIDE_PX:g} px on the short "
        "side at network size; others are neither targets nor background.\n",
        *training_section(origin, recipe),
        *started_from(recipe.start),
        "## Metrics\n",
        *_metrics(metrics),
    ]
    return "\n".join(parts)


def started_from(model: str) -> list[str]:
    """A sentence for a card: none for a training that began with random weights."""
    return [f"Training went on from the weights of {model}; its time and its pictures come on top.\n"] if model else []


def _metrics(metrics: DetectorMetrics) -> list[str]:
    headline = [
        ("mAP50, at least 40 % visible and 16 px high", _percent(metrics.map50)),
        ("mAP50-95, the same vehicles", _percent(metrics.map50_95)),
        ("AP50, the same vehicles, any kind", _percent(metrics.ap50)),
        ("AP50, any kind, 16 px high in the held-out frames' own pixels", _percent(metrics.ap50_own_px)),
        ("mAP50, at least 40 % visible, all sizes", _percent(metrics.map50_all_sizes)),
        ("mAP50, every vehicle with a visible pixel", _percent(metrics.map50_all)),
        ("recall at score 0.3, at least 40 % visible and 16 px high", _percent(metrics.recall.share)),
        ("false boxes a frame at score 0.3", f"{metrics.false_per_frame:.3f}"),
    ]
    kinds = list(metrics.confusion)
    confusion = [(kind, *(str(metrics.confusion[kind][other]) for other in kinds)) for kind in kinds]
    return [
        f"On {metrics.frames} held-out frames with {metrics.vehicles} vehicles, through the product's own detector, "
        f"with scores from {MEASURED_FROM} on. Heights are those of a 960 x 540 frame. COCO's 101-point interpolation.\n",
        _table(("", "%"), headline),
        _shares("AP50 by kind, %", metrics.ap50_by_kind),
        _shares("mAP50 by light, % (n: frames)", metrics.map50_by_light),
        _shares("Recall by height in px, %", metrics.recall_by_height),
        _shares("Recall by visible share, %", metrics.recall_by_visibility),
        _shares("Right kind among found vehicles, %", metrics.kind_accuracy),
        "True kind by row, said kind by column:\n",
        _table(("", *kinds), confusion),
    ]


def _row(name: str, dataset: FramesDataset) -> tuple[str, ...]:
    lights = sorted({frame.light for frame in dataset.frames})
    seeds = ", ".join(str(seed) for seed in sorted({frame.seed for frame in dataset.frames}))
    n_vehicles = sum(len(frame.vehicles) for frame in dataset.frames)
    return name, str(len(dataset)), str(n_vehicles), seeds, ", ".join(lights), dataset.digest


def _shares(title: str, shares: Mapping[str, Share]) -> str:
    return _table((title, "%", "n"), [(name, _percent(part.share), str(part.n)) for name, part in shares.items()])


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100.0 * share:.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
