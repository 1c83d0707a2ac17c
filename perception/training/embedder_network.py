# pyright: reportUnknownParameterType=false, reportMissingImports=false
# torch is an extra, and absent where types are checked
"""A small residual network from a crop to an embedding.

Sources: He et al., "Deep residual learning" (2016); generalized-mean pooling, Radenović et al., "Fine-tuning CNN image
retrieval with no human annotation" (2019); a batch norm between embedding and classifier, and a last stage that keeps its
resolution, Luo et al., "Bag of tricks for person re-identification" (2019).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EMBEDDING = 128
_WIDTHS = (16, 32, 64, 128, 192)
_POWER = 3.0


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, stride) if stride > 1 else nn.Identity(),
                nn.Conv2d(before, after, 1, bias=False),
                nn.BatchNorm2d(after),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) to (B, after, H / stride, W / stride)."""
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


class EmbedderNetwork(nn.Module):
    """(B, 3, S, S) crops, RGB as ImageNet normalizes them, to (B, 128) embeddings."""

    def __init__(self) -> None:
        super().__init__()
        stem, *widths = _WIDTHS
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        blocks = list[nn.Module]()
        before = stem
        for number, width in enumerate(widths):
            blocks.append(Block(before, width, 1 if number == len(widths) - 1 else 2))
            if number < len(widths) - 1:
                blocks.append(Block(width, width, 1))
            before = width
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Linear(before, EMBEDDING)
        self.neck = nn.BatchNorm1d(EMBEDDING)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings, not normalized."""
        features = self.blocks(self.stem(x)).float()
        pooled = features.clamp(min=1e-4).pow(_POWER).mean(dim=(2, 3)).pow(1.0 / _POWER)
        return self.neck(self.project(pooled))


def identity_loss(embeddings: Tensor, vehicles: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss over a batch: each crop against every other, those of its vehicle being right.

    Args:
        embeddings: (B, E), any length.
        vehicles: (B,) identities; one with a single crop has no share in the loss.

    Source: Khosla et al., "Supervised contrastive learning" (2020), with the sum outside of the logarithm.
    """
    unit = functional.normalize(embeddings.float(), dim=1)
    alike = unit @ unit.T / temperature
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    log_share = alike - alike.masked_fill(itself, -torch.inf).logsumexp(dim=1, keepdim=True)
    right = (vehicles[:, None] == vehicles[None]) & ~itself
    n_right = right.sum(dim=1)
    per_crop = -(log_share * right).sum(dim=1) / n_right.clamp(min=1)
    return per_crop[n_right > 0].mean()
