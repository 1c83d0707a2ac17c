# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""A trained embedder as an ``.onnx`` file that ``perception.embed`` runs without further settings."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from perception.training.export import LICENCE, MAX_BYTES, MAX_DIFFERENCE, OPSET
from twin.errors import ModelError

INPUT = "RGB, ImageNet's mean and deviation"


def export_embedder(network: nn.Module, path: Path, *, side_px: int, recipe: str) -> float:
    """Write the ONNX file; returns the greatest difference between ONNX Runtime's output and torch's.

    Raises:
        ModelError: the file is too large or computes something else; it is not left behind then.
    """
    partial = path.with_suffix(".partial.onnx")
    try:
        write_onnx(network, partial, side_px=side_px)
        model = onnx.load(partial)
        about = {"model_id": f"{path.stem}-{recipe}", "recipe": recipe, "input": INPUT, "licence": LICENCE}
        onnx.helper.set_model_props(model, about)
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
def _largest_difference(network: nn.Module, path: Path, side_px: int) -> float:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.Generator(np.random.PCG64(0))
    worst = 0.0
    for strength in (0.3, 1.0, 3.0):
        crop = (strength * rng.standard_normal((1, 3, side_px, side_px))).astype(np.float32)
        (found,) = session.run(None, {"crop": crop})
        worst = max(worst, float(np.abs(np.asarray(found) - network(torch.from_numpy(crop)).numpy()).max()))
    return worst


def write_onnx(network: nn.Module, path: Path, *, side_px: int) -> None:
    """Any network from one crop, (1, 3, S, S), to (1, E), as a file; left in evaluation mode."""
    network.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter is deprecated, but the other needs onnxscript
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, side_px, side_px),),
            str(path),
            input_names=["crop"],
            output_names=["embedding"],
            opset_version=OPSET,
            dynamo=False,
        )
