"""How often frames are drawn: those with rare kinds more often.

Source: Gupta, Dollár & Girshick, "LVIS" (2019), appendix: repeat factor sampling.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.seeds import generator

_COMMON = 0.4  # kinds in this share of the frames, or more, are not repeated
_MOST = 4.0


def repeat_factors(kinds: Sequence[NDArray[np.int64]], n_kinds: int) -> NDArray[np.float64]:
    """(N,) how often each frame is drawn an epoch, by the rarest of the kinds in it: the root of 0.4 over its share.

    Args:
        kinds: the kinds of the targets of each of N frames.
    """
    has = np.zeros((len(kinds), n_kinds), bool)
    for frame, found in enumerate(kinds):
        has[frame, found] = True
    share = np.maximum(has.mean(axis=0), 1e-9)
    factor = np.clip(np.sqrt(_COMMON / share), 1.0, _MOST)
    return np.max(np.where(has, factor, 1.0), axis=1)


def epoch_order(factors: NDArray[np.float64], epoch: int, seed: int) -> list[int]:
    """An epoch's frames, shuffled; a factor's fraction is the chance of one more."""
    rng = generator(seed, "order", epoch)
    counts = np.floor(factors + rng.random(len(factors))).astype(np.int64)
    return rng.permutation(np.repeat(np.arange(len(factors)), counts)).tolist()
