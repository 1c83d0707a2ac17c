# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""The weights of an exported network, put back into one that can learn further."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from twin.errors import ModelError

_Layer = tuple[str, Tensor, Tensor]


@torch.no_grad()
def load_exported(network: nn.Module, path: Path, pictures: Tensor) -> None:
    """Give the network the weights of a file that ``export`` wrote, so that it computes what the file does.

    The export has folded each batch normalization into the convolution before it. Here the normalization comes back as the
    one that changes nothing: scale and shift undo the mean and the variance that its input has over these pictures.
    So training, which normalizes by the batch, starts near what the file computes. What the export left as it was, and under
    its own name, is copied.

    Args:
        network: of ``yolox_nano.build_network``, or an ``EmbedderNetwork``.
        pictures: (B, 3, H, W) of the kind that training will show, as the network takes them.

    Raises:
        ModelError: the file's convolutions are not this network's; the network is spoilt then.
    """
    graph = _graph(path)
    layers = _convolutions(graph)
    folded = list[Tensor]()

    def fill(conv: Any, arguments: tuple[Tensor, ...]) -> None:
        name, weight, bias = next(layers, ("none", torch.empty(0), torch.empty(0)))
        if weight.shape != conv.weight.shape:
            raise ModelError(
                f"'{path}' has convolution {name} of shape {tuple(weight.shape)} where this network has "
                f"{tuple(conv.weight.shape)}; start from a model that this training exported"
            )
        conv.weight.copy_(weight)
        if conv.bias is None:
            folded.append(bias)
        else:
            conv.bias.copy_(bias)

    def undo(norm: Any, arguments: tuple[Tensor, ...]) -> None:
        variance, mean = torch.var_mean(arguments[0], dim=(0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(mean + folded.pop())

    hooks = [each.register_forward_pre_hook(fill) for each in network.modules() if isinstance(each, nn.Conv2d)]
    hooks += [each.register_forward_pre_hook(undo) for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    was_training = network.training
    try:
        network.eval()(pictures)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    if (rest := next(layers, None)) is not None:
        raise ModelError(f"'{path}' has more convolutions than this network, from {rest[0]} on; start from a model like it")
    values, own = {each.name: each for each in graph.initializer}, network.state_dict()
    for name in sorted(values.keys() & own.keys()):
        own[name].copy_(torch.from_numpy(np.array(numpy_helper.to_array(values[name]))))


def _graph(path: Path) -> Any:
    try:
        return onnx.load(path).graph
    except Exception as wrong:  # protobuf's decoder has no error of its own
        raise ModelError(f"'{path}' is no ONNX model: {wrong}") from None


def _convolutions(graph: Any) -> Iterator[_Layer]:
    """Name, weight and bias of each convolution in the order in which they run."""
    values = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in values:  # the exporter's name for an equal array
            values[node.output[0]] = values[node.input[0]]
        if node.op_type == "Conv":
            weight, *bias = (torch.from_numpy(np.array(numpy_helper.to_array(values[name]))) for name in node.input[1:])
            yield node.name, weight, bias[0] if bias else torch.zeros(len(weight))
