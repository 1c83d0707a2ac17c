"""Pictures of registration plates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIZE_PX = (256, 56)  # 520 x 113 mm: the proportions of a European plate


def plate_picture(text: str) -> NDArray[np.uint8]:
    """(56, 256, 3) BGR: black on white with a blue band, the text as wide as fits."""
    import cv2  # here: only the edge extra brings it

    width, height = _SIZE_PX
    picture = np.full((height, width, 3), (225, 228, 230), np.uint8)
    picture[:, :22] = (150, 60, 20)
    cv2.rectangle(picture, (0, 0), (width - 1, height - 1), (20, 20, 20), 2)
    font, thickness = cv2.FONT_HERSHEY_DUPLEX, 3
    (wide, tall), _ = cv2.getTextSize(text, font, 1.0, thickness)
    scale = min((width - 34) / max(wide, 1), (height - 18) / max(tall, 1))
    (wide, tall), _ = cv2.getTextSize(text, font, scale, thickness)
    at = (24 + (width - 26 - wide) // 2, (height + tall) // 2)
    cv2.putText(picture, text, at, font, scale, (15, 15, 15), thickness, cv2.LINE_AA)
    return picture
