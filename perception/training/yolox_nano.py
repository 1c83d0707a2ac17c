# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""YOLOX-nano for vehicles: the package's network, with a loss that leaves ignored regions alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from perception.training.assignment import Grid, Labels, Matches, assign, is_excused
from perception.training.yolox_package import YoloPafpn, YoloxHead, YoloxModule

_CHANNELS = (256, 512, 1024)
_DEPTH, _WIDTH = 0.33, 0.25
_BOX_WEIGHT = 5.0
_PRIOR = 0.01  # share of cells that see a vehicle, so that training starts with small losses


class VehicleHead(YoloxHead):
    """YOLOX's decoupled head; derives from the package's class and replaces its loss.

    The loss is YOLOX's (section 2.1 of the paper), except that a cell inside an ignored region and inside no
    target does not learn objectness. Boxes are decoded in float32: bfloat16 would round a coordinate of 500 px to 2 px.
    """

    def get_output_and_grid(self, output: Tensor, k: int, stride: int, dtype: str) -> Any:
        """Decoded (B, cells, 5 + K) of one level, and its (1, cells, 2) grid."""
        decoded = output.float()
        return super().get_output_and_grid(decoded, k, stride, decoded.type())

    def get_losses(
        self,
        imgs: Tensor,
        x_shifts: Sequence[Tensor],
        y_shifts: Sequence[Tensor],
        expanded_strides: Sequence[Tensor],
        labels: Labels,
        outputs: Tensor,
        origin_preds: Sequence[Tensor],
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, float]:
        """Total, box, objectness, class and L1 loss per matched cell, and matched cells per target.

        Args:
            labels: targets and ignored regions of the batch.
            outputs: (B, A, 5 + K) decoded boxes, objectness and class logits.
            origin_preds: undecoded boxes of each level while ``use_l1``, else empty.
        """
        grid = _grid(x_shifts, y_shifts, expanded_strides)
        flat = outputs.flatten(0, 1)
        found = assign(labels, grid, flat[:, :4], flat[:, 4], flat[:, 5:])
        n_matched = max(len(found.cells), 1)
        box = _BOX_WEIGHT * self.iou_loss(flat[found.cells, :4], labels.boxes[found.targets]).sum() / n_matched
        objectness = _objectness_loss(flat[:, 4], found, is_excused(labels, grid, len(outputs)).flatten()) / n_matched
        kind = _class_loss(flat[found.cells, 5:], labels.kinds[found.targets], found.ious) / n_matched
        l1 = outputs.new_zeros(())
        if self.use_l1:
            raw = torch.cat(tuple(origin_preds), 1).flatten(0, 1).float()
            l1 = _l1_loss(raw[found.cells], labels.boxes[found.targets], found.cells, grid) / n_matched
        n_targets = max(len(labels.boxes), 1)
        return box + objectness + kind + l1, box, objectness, kind, l1, len(found.cells) / n_targets


def build_network(n_kinds: int, seed: int) -> nn.Module:
    """An untrained YOLOX-nano (0.9 M parameters); the same seed gives the same weights."""
    torch.manual_seed(seed)
    backbone = YoloPafpn(_DEPTH, _WIDTH, in_channels=_CHANNELS, depthwise=True)
    head = VehicleHead(n_kinds, _WIDTH, in_channels=_CHANNELS, depthwise=True)
    network = YoloxModule(backbone, head)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = 1e-3, 0.03  # YOLOX's; the package leaves torch's
    head.initialize_biases(_PRIOR)
    return network


def _grid(x_shifts: Sequence[Tensor], y_shifts: Sequence[Tensor], expanded_strides: Sequence[Tensor]) -> Grid:
    strides = torch.cat(tuple(expanded_strides), 1)[0].float()
    cells = torch.stack((torch.cat(tuple(x_shifts), 1)[0], torch.cat(tuple(y_shifts), 1)[0]), dim=1).float()
    levels: list[tuple[int, int, int, int]] = []
    first = 0
    for x, y, stride in zip(x_shifts, y_shifts, expanded_strides, strict=True):
        levels.append((int(stride[0, 0]), int(x.max()) + 1, int(y.max()) + 1, first))
        first += x.shape[1]
    return Grid((cells + 0.5) * strides[:, None], strides, tuple(levels))


def _objectness_loss(logits: Tensor, found: Matches, excused: Tensor) -> Tensor:
    truth = torch.zeros_like(logits)
    truth[found.cells] = 1.0
    weight = ((truth > 0) | ~excused).float()
    return F.binary_cross_entropy_with_logits(logits, truth, weight=weight, reduction="sum")


def _class_loss(logits: Tensor, kinds: Tensor, ious: Tensor) -> Tensor:
    truth = F.one_hot(kinds, logits.shape[1]).float() * ious[:, None]
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="sum")


def _l1_loss(raw: Tensor, boxes: Tensor, cells: Tensor, grid: Grid) -> Tensor:
    """Distance of the undecoded outputs from what would decode to the boxes; sharpens them late in training."""
    cell = cells % len(grid.strides)
    stride = grid.strides[cell, None]
    offset = (boxes[:, :2] - grid.centres[cell]) / stride + 0.5
    return (raw - torch.cat((offset, torch.log(boxes[:, 2:] / stride + 1e-8)), dim=1)).abs().sum()
