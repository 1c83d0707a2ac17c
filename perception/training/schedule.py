"""How long to train and how fast to learn: pure arithmetic over progress, which runs from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable

_WARMUP = 0.03
_LEAST_RATE = 0.02
_RESERVE = 0.04  # of the budget, for checkpoints, export and a machine that slows down


def learning_rate(progress: float, peak: float) -> float:
    """Linear warm-up, then a half cosine down to 2 % of the peak. Source: Loshchilov & Hutter, "SGDR" (2017)."""
    if progress < _WARMUP:
        return peak * max(progress, 1e-4) / _WARMUP
    along = (min(progress, 1.0) - _WARMUP) / (1.0 - _WARMUP)
    return peak * (_LEAST_RATE + (1.0 - _LEAST_RATE) * 0.5 * (1.0 + math.cos(math.pi * along)))


def average_decay(step: int, most: float) -> float:
    """Decay of the weights' moving average: short at first, so that it forgets the untrained weights."""
    return most * (1.0 - math.exp(-(step + 1) / 300.0))


def epochs_that_fit(left_s: float, full_epoch_s: float, cost: Callable[[float], float], done: int = 0) -> int:
    """The most epochs in all whose rest fits the time left, at least one more than are done.

    Args:
        left_s: until the end of the budget; a reserve is kept of it.
        full_epoch_s: of an epoch of cost 1, as measured.
        cost: of the epoch that starts at a progress, as a share of a full one.
        done: epochs that are over.
    """
    usable = left_s * (1.0 - _RESERVE) / full_epoch_s
    epochs = done + 1
    while sum(cost(epoch / (epochs + 1)) for epoch in range(done, epochs + 1)) <= usable:
        epochs += 1
    return epochs
