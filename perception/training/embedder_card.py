"""The embedder's model card: what it is, from which crops and command it came, and what it was measured to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from perception.training.crops_dataset import CropsDataset
from perception.training.embedder_batches import lookalikes
from perception.training.embedder_metrics import EmbedderMetrics, Rank
from perception.training.model_card import Origin, started_from, training_section
from perception.training.recipe import EmbedderRecipe

_HEAD = (
    "embedder",
    "comparison",
    "queries",
    "gallery",
    "rank-1, % (95 %)",
    "rank-5, %",
    "mAP, % (95 %)",
    "rank-1 of look-alikes, %",
)


def embedder_card(
    model: Path,
    recipe: EmbedderRecipe,
    origin: Origin,
    n_parameters: int,
    datasets: tuple[CropsDataset, CropsDataset],
    metrics: Sequence[EmbedderMetrics],
    left_out: Sequence[str],
) -> str:
    """Markdown.

    Args:
        datasets: trained on, and held out.
        metrics: of the model, then of what it is compared with.
        left_out: why a comparison is absent, a sentence each.
    """
    trained, measured = datasets
    rows = [_row(one.embedder, name, found) for one in metrics for name, found in _comparisons(one)]
    parts = [
        f"# {metrics[0].embedder}\n",
        f"A residual network from a crop of a vehicle (square, RGB as ImageNet normalizes it) to 128 numbers, "
        f"{n_parameters / 1e6:.2f} M parameters, {model.stat().st_size / 1e6:.1f} MB, ONNX opset 17. Licence: Apache-2.0; "
        "trained from scratch on pictures that this repository renders.\n",
        "It has seen rendered pictures only. On real cameras use an embedder that was trained on real pictures.\n",
        "## Data\n",
        _table(
            ("crops", "number", "vehicles", "with a look-alike", "groups", "light", "bodies not in training", "digest"),
            [_data_row("training", trained, trained), _data_row("held out", measured, trained)],
        ),
        *training_section(origin, recipe),
        *started_from(recipe.start),
        "## Metrics\n",
        "Through the product's own embedder: signed bytes. Query and gallery are of different cameras; a vehicle counts once, "
        "by its best entry. Pooled: means over tracklets of about six crops, the same scene and light. The cameras of a "
        "site are of one make, each a little different; the second line has the same drives before cameras of any makes, "
        "some grey by night and some not. Kinds apart: the "
        "gallery holds only the query's kind. Single: one crop against one crop of every tracklet. Intervals: bootstrap over "
        "vehicles, as the queries of one vehicle are not independent.\n",
        _table(_HEAD, rows),
        *[f"{reason}\n" for reason in left_out],
    ]
    return "\n".join(parts)


def _comparisons(metrics: EmbedderMetrics) -> Iterator[tuple[str, Rank | None]]:
    yield "pooled", metrics.pooled
    yield "pooled, cameras of any makes", metrics.pooled_any_makes
    for light, found in metrics.pooled_by_light.items():
        yield f"pooled, {light}", found
    yield "pooled, kinds apart", metrics.pooled_other_kinds_apart
    yield "single crops", metrics.single
    yield "pooled, day against night", metrics.day_to_night


def _data_row(name: str, dataset: CropsDataset, trained: CropsDataset) -> tuple[str, ...]:
    labels = dataset.labels
    vehicles = {label.vehicle for label in labels}
    groups = {vehicle.split("-")[0] for vehicle in vehicles}
    new = sorted({label.body for label in labels} - {label.body for label in trained.labels})
    lights = sorted({label.light for label in labels})
    doubles = f"{100 * len(lookalikes(labels)) / len(vehicles):.0f} %"
    columns = (str(len(labels)), str(len(vehicles)), doubles, str(len(groups)), ", ".join(lights), ", ".join(new) or "-")
    return name, *columns, dataset.digest


def _row(embedder: str, name: str, found: Rank | None) -> tuple[str, ...]:
    if found is None:
        return embedder, name, "0", *["-"] * 5
    doubles = "-" if found.rank1_lookalikes is None else _percent(found.rank1_lookalikes)
    rank1 = f"{_percent(found.rank1)} ({_percent(found.rank1_95[0])} to {_percent(found.rank1_95[1])})"
    mean_precision = f"{_percent(found.map)} ({_percent(found.map_95[0])} to {_percent(found.map_95[1])})"
    return embedder, name, str(found.n), f"{found.gallery:.0f}", rank1, _percent(found.rank5), mean_precision, doubles


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
