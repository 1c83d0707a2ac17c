"""The built-in look of a vehicle where no embedding model is given: where it has which colours. Pure arithmetic."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from perception.frames import Image

_SIDE_PX = 96
_N_STRIPES = 3
_N_HUES, _N_TONES = 32, 8  # colourful pixels by hue, grey ones by brightness
_LENGTH = 128  # 3 stripes of 40, and the whole view's brightness in 8 bins
_COLOURFUL = 60  # saturation from which the hue is trusted


def colour_descriptor(view: Image) -> NDArray[np.float32]:
    """(H, W, 3) view to a (128,) unit vector; its dot product is the Bhattacharyya coefficient of the colours.

    Three horizontal stripes (roof and windows, body, wheels), each a histogram of 32 hues and 8 grey tones weighted
    towards the middle column, where the vehicle is and the background is not; square roots make the Hellinger
    distance Euclidean. Source: Arandjelović & Zisserman, "Three things everyone should know to improve object
    retrieval" (2012), on the square root.
    """
    scaled = cv2.resize(view, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(scaled, cv2.COLOR_BGR2HSV_FULL)
    hue, saturation, value = (hsv[:, :, channel].astype(np.int64) for channel in range(3))
    is_colourful = (saturation >= _COLOURFUL) & (value >= 40)
    bins = np.where(is_colourful, hue * _N_HUES // 256, _N_HUES + value * _N_TONES // 256)
    offset = np.abs(np.arange(_SIDE_PX) - (_SIDE_PX - 1) / 2) / (_SIDE_PX / 2)
    weights = np.broadcast_to(1.0 - 0.8 * offset, bins.shape)
    height = _SIDE_PX // _N_STRIPES
    stripes = [slice(row * height, (row + 1) * height) for row in range(_N_STRIPES)]
    size = _N_HUES + _N_TONES
    parts: list[NDArray[np.float64]] = [
        np.bincount(bins[rows].ravel(), weights[rows].ravel(), size).astype(np.float64) for rows in stripes
    ]
    brightness = np.bincount((value * 8 // 256).ravel(), weights.ravel(), _LENGTH - _N_STRIPES * size)
    parts.append(brightness.astype(np.float64) / 2.0)
    histogram = np.concatenate(parts)
    return np.sqrt(histogram / histogram.sum()).astype(np.float32)
