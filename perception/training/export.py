# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""A trained detector as an ``.onnx`` file that ``perception.onnx_detector`` runs without further settings."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from perception.training.frames_dataset import KINDS
from twin.errors import ModelError

OPSET = 17
MAX_BYTES = 6_000_000
MAX_DIFFERENCE = 1e-3
LICENCE = "Apache-2.0"


def export_detector(network: nn.Module, path: Path, *, input_px: tuple[int, int], recipe: str) -> float:
    """Write the file, with its classes and its origin in the metadata, and check that it computes the same.

    Args:
        network: a trained YOLOX of ``yolox_nano``.
        input_px: width and height.
        recipe: digest of the run that trained it.

    Returns:
        The greatest difference between ONNX Runtime's output and torch's.

    Raises:
        ModelError: the file is too large or computes something else; it is not left behind then.
    """
    network.eval()
    network.head.decode_in_inference = False  # the decoder of ``perception.detect`` adds the grids
    partial = path.with_suffix(".partial.onnx")
    try:
        _write(network, partial, input_px)
        _describe(partial, _metadata(path.stem, input_px, recipe))
        difference = _largest_difference(network, partial, input_px)
        if partial.stat().st_size > MAX_BYTES:
            raise ModelError(f"'{path}' would be {partial.stat().st_size} bytes; at most {MAX_BYTES} belong in the repository")
        if not difference <= MAX_DIFFERENCE:
            raise ModelError(f"'{path}' differs from torch by {difference:.2g}, more than {MAX_DIFFERENCE}; do not use it")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return difference


def _write(network: nn.Module, path: Path, input_px: tuple[int, int]) -> None:
    picture = torch.zeros(1, 3, input_px[1], input_px[0])
    with warnings.catch_warnings():
        # the tracing exporter is deprecated, but the other needs onnxscript and cannot write opset 17 itself
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (picture,), str(path), input_names=["image"], output_names=["cells"], opset_version=OPSET, dynamo=False
        )


def _metadata(name: str, input_px: tuple[int, int], recipe: str) -> Mapping[str, str]:
    return {
        "model_id": f"{name}-{recipe}",
        "names": repr(dict(enumerate(KINDS))),
        "input_px": f"{input_px[0]}x{input_px[1]}",
        "input": "BGR 0..255, the frame at the top left, grey 114 around it",
        "output": "YOLOX cells of strides 8, 16, 32: offset, log size, objectness, class scores",
        "licence": LICENCE,
        "recipe": recipe,
    }


def _describe(path: Path, metadata: Mapping[str, str]) -> None:
    model = onnx.load(path)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


@torch.inference_mode()
def _largest_difference(network: nn.Module, path: Path, input_px: tuple[int, int]) -> float:
    """Over noise of several strengths, as flat pictures would hide an error."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.Generator(np.random.PCG64(0))
    worst = 0.0
    for strength in (32, 128, 256):
        picture = rng.integers(0, strength, (1, 3, input_px[1], input_px[0])).astype(np.float32)
        (found,) = session.run(None, {"image": picture})
        worst = max(worst, float(np.abs(np.asarray(found) - network(torch.from_numpy(picture)).numpy()).max()))
    return worst
