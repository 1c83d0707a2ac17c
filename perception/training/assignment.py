# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""Which grid cells are to find which vehicle: SimOTA over a whole batch at once.

Source: Ge et al., "YOLOX: Exceeding YOLO Series in 2021", section 2.1 (SimOTA, dynamic k, centre prior of 1.5
strides). Only cells inside a vehicle's centre prior are candidates, which are 3 x 3 a level; so the cost is computed
for 27 pairs a vehicle and not for every pair of vehicle and cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_IOU_WEIGHT = 3.0
_N_BEST = 10  # candidates whose overlaps sum to the number of cells a vehicle gets
_NEVER = 1e9


@dataclass(frozen=True, slots=True)
class Labels:
    """Targets of a batch of B pictures, in network pixels.

    Attributes:
        picture: (G,) which of the B pictures.
        boxes: (G, 4) centre x, centre y, width, height.
        kinds: (G,) class.
        ignored_picture: (R,) which of the B pictures.
        ignored: (R, 4) corners of regions where a cell is not judged.
    """

    picture: Tensor
    boxes: Tensor
    kinds: Tensor
    ignored_picture: Tensor
    ignored: Tensor

    def to(self, device: torch.device) -> Labels:
        """The same on another device."""
        parts = (self.picture, self.boxes, self.kinds, self.ignored_picture, self.ignored)
        return Labels(*(part.to(device) for part in parts))


@dataclass(frozen=True, slots=True)
class Grid:
    """The A cells of all levels.

    Attributes:
        centres: (A, 2) in network pixels.
        strides: (A,).
        levels: stride, columns, rows and first cell of each level.
    """

    centres: Tensor
    strides: Tensor
    levels: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """M cells that are to find a vehicle; a cell finds one at most.

    Attributes:
        cells: (M,) index into the B x A cells of the batch.
        targets: (M,) index into the G targets.
        ious: (M,) overlap of what the cell says now with its target.
    """

    cells: Tensor
    targets: Tensor
    ious: Tensor


@torch.no_grad()
def assign(labels: Labels, grid: Grid, boxes: Tensor, objectness: Tensor, classes: Tensor) -> Matches:
    """SimOTA's matches.

    Args:
        boxes: (B x A, 4) predicted centre and size in network pixels.
        objectness: (B x A,) logits.
        classes: (B x A, K) logits.
    """
    cells, is_cell = _candidates(labels, grid)
    ious = torch.where(is_cell, _iou(labels.boxes[:, None], boxes[cells]), 0.0)
    cost = _class_cost(labels.kinds, objectness[cells], classes[cells]) - _IOU_WEIGHT * torch.log(ious + 1e-8)
    cost = torch.where(is_cell, cost, _NEVER)
    n_cells = ious.topk(min(_N_BEST, ious.shape[1]), dim=1).values.sum(dim=1).int().clamp(min=1)
    rank = cost.argsort(dim=1, stable=True).argsort(dim=1)
    target, column = torch.nonzero((rank < n_cells[:, None]) & is_cell, as_tuple=True)
    kept = _cheapest_of_each_cell(cells[target, column], cost[target, column])
    target, column = target[kept], column[kept]
    return Matches(cells[target, column], target, ious[target, column])


def is_excused(labels: Labels, grid: Grid, n_pictures: int) -> Tensor:
    """(B, A) cells whose centre lies in an ignored region and in no target."""
    half = labels.boxes[:, 2:] / 2
    corners = torch.cat((labels.boxes[:, :2] - half, labels.boxes[:, :2] + half), dim=1)
    in_ignored = _covered(labels.ignored_picture, labels.ignored, grid, n_pictures)
    return in_ignored & ~_covered(labels.picture, corners, grid, n_pictures)


def _covered(picture: Tensor, corners: Tensor, grid: Grid, n_pictures: int) -> Tensor:
    inside = ((grid.centres > corners[:, None, :2]) & (grid.centres < corners[:, None, 2:])).all(dim=2)
    counts = torch.zeros(n_pictures, len(grid.strides), dtype=torch.int32, device=picture.device)
    return counts.index_add_(0, picture, inside.int()) > 0


def _candidates(labels: Labels, grid: Grid) -> tuple[Tensor, Tensor]:
    """(G, 27) cells of the batch around each target's centre, and whether each is inside the picture."""
    around = torch.tensor([(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)], device=labels.boxes.device)
    cells: list[Tensor] = []
    is_cell: list[Tensor] = []
    for stride, columns, rows, first in grid.levels:
        at = torch.floor(labels.boxes[:, None, :2] / stride).long() + around
        x, y = at.unbind(dim=2)
        is_cell.append((x >= 0) & (x < columns) & (y >= 0) & (y < rows))
        cells.append(first + y.clamp(0, rows - 1) * columns + x.clamp(0, columns - 1))
    return torch.cat(cells, dim=1) + labels.picture[:, None] * len(grid.strides), torch.cat(is_cell, dim=1)


def _class_cost(kinds: Tensor, objectness: Tensor, classes: Tensor) -> Tensor:
    """(G, 27) binary cross entropy of the joint score against the target's class."""
    scores = (classes.sigmoid() * objectness.sigmoid()[..., None]).sqrt()
    truth = F.one_hot(kinds, classes.shape[-1]).float()[:, None].expand_as(scores)
    right = torch.where(truth > 0, scores, 1.0 - scores)
    return -right.log().clamp(min=-100.0).sum(dim=-1)


def _cheapest_of_each_cell(cells: Tensor, cost: Tensor) -> Tensor:
    """Rows to keep where several targets want one cell; ties go to the earlier row."""
    order = cost.argsort(stable=True)
    order = order[cells[order].argsort(stable=True)]
    sorted_cells = cells[order]
    is_first = torch.ones(len(cells), dtype=torch.bool, device=cells.device)
    is_first[1:] = sorted_cells[1:] != sorted_cells[:-1]
    return order[is_first].sort().values


def _iou(first: Tensor, second: Tensor) -> Tensor:
    """Overlap of boxes given as centre and size."""
    low = torch.maximum(first[..., :2] - first[..., 2:] / 2, second[..., :2] - second[..., 2:] / 2)
    high = torch.minimum(first[..., :2] + first[..., 2:] / 2, second[..., :2] + second[..., 2:] / 2)
    inter = (high - low).clamp(min=0).prod(dim=-1)
    return inter / (first[..., 2:].prod(dim=-1) + second[..., 2:].prod(dim=-1) - inter + 1e-9)
