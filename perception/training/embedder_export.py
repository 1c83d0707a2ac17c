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
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from perception.training.export import LICENCE, MAX_BYTES, OPSET
from twin.errors import ModelError

INPUT = "RGB, ImageNet's mean and deviation"
MAX_DIFFERENCE = 2e-3
"""Between components of unit vectors: a quarter of a step of the signed bytes that embeddings become."""

_LEAST_HALVED = 1_024  # numbers; smaller arrays, as the biases, save nothing


def export_embedder(network: nn.Module, path: Path, *, side_px: int, recipe: str) -> float:
    """Write the ONNX file, its weights as half floats, which runtimes widen when they load it.

    Returns:
        The greatest difference between a component of ONNX Runtime's unit vectors and torch's.

    Raises:
        ModelError: the file is too large or computes something else; it is not left behind then.
    """
    partial = path.with_suffix(".partial.onnx")
    try:
        write_onnx(network, partial, side_px=side_px)
        model = onnx.load(partial)
        _halve(model.graph)
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
        worst = max(worst, float(np.abs(_unit(np.asarray(found)) - _unit(network(torch.from_numpy(crop)).numpy())).max()))
    return worst


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _halve(graph: onnx.GraphProto) -> None:
    """Store large float arrays as float16, each with a cast before its use: half the file, and the same arithmetic."""
    casts = list[onnx.NodeProto]()
    for array in graph.initializer:
        values = numpy_helper.to_array(array)
        if values.dtype != np.float32 or values.size < _LEAST_HALVED:
            continue
        name, stored = array.name, f"{array.name}.half"
        array.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)


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
