# pyright: reportMissingImports=false
# torch and yolox are an extra, and absent where types are checked
"""YOLOX's model classes, imported from the package ``pixeltable-yolox`` (Apache-2.0)."""

from __future__ import annotations

import sys
from typing import Any

import torch


def _declare_operators() -> None:
    """Let a torchvision built for CUDA import beside a CPU-only torch.

    Its compiled operators cannot load there, and its import fails on their missing names. Nothing here calls one:
    YOLOX's module imports torchvision for a postprocessing that training does not use.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError as wrong:
        if "torchvision::nms" not in str(wrong):
            raise
        _forget("torchvision")
        _OPERATORS.append(torch.library.Library("torchvision", "DEF"))
        _OPERATORS[0].define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _OPERATORS[0].define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


_OPERATORS: list[torch.library.Library] = []  # the declarations end with this object's life
_declare_operators()

import yolox.models as _models  # noqa: E402

YoloPafpn: Any = _models.YoloPafpn
YoloxHead: Any = _models.YoloxHead
YoloxModule: Any = _models.YoloxModule
