"""``perceive train``: models from rendered pictures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from twin.errors import MissingExtra

Device = Annotated[str, typer.Option(help="auto (a GPU if torch finds one), cpu, cuda, cuda:1.")]

app = typer.Typer(name="train", help="Trains models and measures them.", no_args_is_help=True)

_PACKAGE_BY_MODULE = {"torch": "torch", "yolox": "pixeltable-yolox", "onnx": "onnx", "onnxruntime": "onnxruntime"}


@app.callback()
def _train() -> None:
    """Trains models and measures them."""


@app.command()
def detector(
    frames: Annotated[Path, typer.Option(help="Folder of rendered frames to train on.")],
    heldout: Annotated[Path, typer.Option(help="Folder of rendered frames to measure on, of other seeds.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, model, metrics and card; a checkpoint there is resumed.")],
    start_from: Annotated[
        Path | None, typer.Option(help="Detector.onnx of an earlier training, as the packaged one, to go on from.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Wall clock of the training; as many epochs as fit.")] = 95.0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Train so many epochs, however long they take.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, frames and epochs: same model, on a CPU.")] = 1,
    device: Device = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the training step.")] = 2,
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw pictures; 0 draws them in the training step.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON on standard output.")] = False,
) -> None:
    """Train the vehicle detector on rendered frames, export it to ONNX and measure it."""
    require_packages(tuple(_PACKAGE_BY_MODULE))
    from perception.model_file import model_id
    from perception.training.detector import Length
    from perception.training.detector_run import train_detector
    from perception.training.device import has_bfloat16, training_device
    from perception.training.recipe import DetectorRecipe

    length = Length(minutes=minutes, epochs=epochs)
    chosen = training_device(device)
    fast = has_bfloat16(chosen)
    if start_from:
        recipe = DetectorRecipe.continued(seed, model_id(start_from), bfloat16=fast)
    else:
        recipe = DetectorRecipe(seed=seed, bfloat16=fast)
    metrics = train_detector(
        frames, heldout, out, recipe, length, start=start_from, threads=threads, workers=workers, device=chosen
    )
    typer.echo(f"{metrics.model}: mAP50 {metrics.map50} on {metrics.frames} held-out frames; see '{out}'", err=True)
    if as_json:
        typer.echo(msgspec.json.encode(metrics).decode())


@app.command()
def embedder(
    crops: Annotated[Path, typer.Option(help="Folder of rendered crops to train on.")],
    heldout: Annotated[Path, typer.Option(help="Folder of rendered crops to measure on, of other seeds.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, model, metrics and card; a checkpoint there is resumed.")],
    start_from: Annotated[
        Path | None, typer.Option(help="Embedder.onnx of an earlier training, as the packaged one, to go on from.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Wall clock of the training; as many epochs as fit.")] = 95.0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Train so many epochs, however long they take.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, crops and epochs: same model, on a CPU.")] = 1,
    device: Device = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the training step.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON on standard output.")] = False,
) -> None:
    """Train the vehicle embedder on rendered crops, export it to ONNX and measure it."""
    require_packages(("torch", "onnx", "onnxruntime"))
    from perception.model_file import model_id
    from perception.training.device import has_bfloat16, training_device
    from perception.training.embedder import EmbedderLength
    from perception.training.embedder_run import train_embedder
    from perception.training.recipe import EmbedderRecipe

    length = EmbedderLength(epochs=epochs, minutes=minutes)
    chosen = training_device(device)
    fast = has_bfloat16(chosen)
    if start_from:
        recipe = EmbedderRecipe.continued(seed, model_id(start_from), bfloat16=fast)
    else:
        recipe = EmbedderRecipe(seed=seed, bfloat16=fast)
    metrics = train_embedder(crops, heldout, out, recipe, length, start=start_from, threads=threads, device=chosen)
    rank1 = "none" if metrics.pooled is None else f"{metrics.pooled.rank1} of {metrics.pooled.n}"
    typer.echo(f"{metrics.embedder}: rank-1, pooled, {rank1}; see '{out}'", err=True)
    if as_json:
        typer.echo(msgspec.json.encode(metrics).decode())


@app.command()
def yolo(
    data: Annotated[Path, typer.Option(help="Your dataset's .yaml file, in YOLO's format.")],
    base: Annotated[Path, typer.Option(help="The .pt file to start from, on this machine.")],
    out: Annotated[Path, typer.Option(help="Folder for the run and detector.onnx.")],
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the frames.")] = 50,
    input_size: Annotated[int, typer.Option(help="Side of the network's input, px.")] = 640,
    batch: Annotated[int, typer.Option(min=1, help="Frames a step.")] = 16,
    device: Annotated[str, typer.Option(help="cpu, 0, cuda:1, mps.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Same seed and data: same model, on the same machine.")] = 1,
) -> None:
    """Fine-tune an ultralytics YOLO (AGPL-3.0) on your own frames; its weights are yours."""
    from perception.training.yolo import YoloRecipe, fine_tune

    recipe = YoloRecipe(epochs=epochs, input_px=input_size, batch=batch, device=device, seed=seed)
    typer.echo(str(fine_tune(data, base, out, recipe)))


@app.command()
def measure(
    model: Annotated[Path, typer.Option(help="Detector: .onnx, OpenVINO .xml or folder, or .pt (ultralytics).")],
    heldout: Annotated[Path, typer.Option(help="Folder of rendered frames to measure on.")],
) -> None:
    """Measure any detector on rendered frames; prints its metrics as JSON."""
    from perception.detector import open_detector
    from perception.training.detector_metrics import MEASURED_FROM, measure_detector
    from perception.training.frames_dataset import read_frames

    metrics = measure_detector(open_detector(model, lowest_score=MEASURED_FROM), read_frames(heldout))
    typer.echo(msgspec.json.format(msgspec.json.encode(metrics), indent=2).decode())


@app.command()
def agree(
    model: Annotated[Path, typer.Option(help="Detector to compare.")],
    reference: Annotated[Path, typer.Option(help="Detector to compare it with.")],
    video: Annotated[Path, typer.Option(help="Real frames: a video or a folder of pictures.")],
    every: Annotated[int, typer.Option(min=1, help="Take each so many frames.")] = 15,
    min_score: Annotated[float, typer.Option(min=0.1, max=1.0, help="Least score of a box.")] = 0.3,
) -> None:
    """Compare two detectors on real frames without labels; prints what both see and what only one sees as JSON."""
    from perception.detector import open_detector
    from perception.image_folder import ImageFolder
    from perception.training.agreement import agreement
    from perception.video_file import VideoFile
    from site_models.schema import CameraId

    camera = CameraId("real")
    source = ImageFolder(camera, video, fps=1.0) if video.is_dir() else VideoFile(camera, video)
    try:
        images = (frame.image for frame in source.frames() if frame.index % every == 0)
        found = agreement(open_detector(model), open_detector(reference), images, min_score=min_score)
    finally:
        source.close()
    typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())


def require_packages(modules: tuple[str, ...]) -> None:
    """Raises MissingExtra naming the packages that are absent."""
    absent = [_PACKAGE_BY_MODULE[module] for module in modules if importlib.util.find_spec(module) is None]
    if absent:
        raise MissingExtra(f"training needs {', '.join(absent)}; install the extra: pip install 'spatial-twin[train]'")
