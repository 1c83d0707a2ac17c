"""Random changes of a crop: another box, another camera, something in front. The vehicle stays the same."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_MOST_CUT = 0.10  # of a side, from each end: how far a detector's box may be off
_TURN_DEG = 4.0
_FLIPPED, _COARSE, _BLURRED, _GREY, _NOISY, _COMPRESSED, _COVERED = 0.5, 0.25, 0.2, 0.08, 0.5, 0.3, 0.3


class Tones(NamedTuple):
    """How one camera renders tones: the logarithm of its gamma, and its gains of blue, green and red."""

    ln_gamma: float
    gains: tuple[float, float, float]


def any_tones(rng: np.random.Generator) -> Tones:
    """Of any camera."""
    blue, green, red = (1.0 + rng.normal(0, 0.06, 3)) * rng.uniform(0.85, 1.15)
    return Tones(float(rng.normal(0, 0.18)), (float(blue), float(green), float(red)))


def tones_like(make: Tones, rng: np.random.Generator) -> Tones:
    """Of another camera of this make."""
    blue, green, red = make.gains * (1.0 + rng.normal(0, 0.015, 3)) * rng.uniform(0.96, 1.04)
    return Tones(make.ln_gamma + float(rng.normal(0, 0.04)), (float(blue), float(green), float(red)))


def changed(picture: Picture, side_px: int, rng: np.random.Generator, make: Tones | None = None) -> Picture:
    """(H, W, 3) BGR to (side_px, side_px, 3): each change is drawn on its own; its tones near those of ``make``, if given."""
    result = _recut(picture, side_px, rng)
    if rng.random() < _COARSE:
        result = _coarser(result, float(rng.uniform(0.3, 0.8)))
    if rng.random() < _BLURRED:
        result = _smeared(result, int(rng.integers(3, 8)), float(rng.uniform(0, 180)))
    result = cv2.LUT(result, _table(tones_like(make, rng) if make else any_tones(rng)))
    if rng.random() < _GREY:
        result = np.repeat(cv2.cvtColor(result, cv2.COLOR_BGR2GRAY)[:, :, None], 3, axis=2)
    if rng.random() < _NOISY:
        grain = rng.standard_normal((side_px, side_px, 1), np.float32) * np.float32(rng.uniform(1, 9))
        result = np.clip(result + grain, 0, 255).astype(np.uint8)
    if rng.random() < _COMPRESSED:
        result = _compressed(np.ascontiguousarray(result), int(rng.integers(30, 95)))
    result = np.asarray(result, np.uint8)
    return _covered(result, rng) if rng.random() < _COVERED else result


def _recut(picture: Picture, side_px: int, rng: np.random.Generator) -> Picture:
    """Another box around the vehicle, mirrored half the time, turned a little."""
    height, width = picture.shape[:2]
    left, top, right, bottom = rng.uniform(0.0, _MOST_CUT, 4)
    scale_x = side_px / (width * (1.0 - left - right))
    scale_y = side_px / (height * (1.0 - top - bottom))
    turn = math.radians(float(np.clip(rng.normal(0, _TURN_DEG), -3 * _TURN_DEG, 3 * _TURN_DEG)))
    cut = np.array([[scale_x, 0, -left * width * scale_x], [0, scale_y, -top * height * scale_y], [0, 0, 1]])
    half = side_px / 2
    back, centre = np.array([[1, 0, half], [0, 1, half], [0, 0, 1]]), np.array([[1, 0, -half], [0, 1, -half], [0, 0, 1]])
    mirror = -1.0 if rng.random() < _FLIPPED else 1.0
    turned = np.array([[mirror * math.cos(turn), -math.sin(turn), 0], [mirror * math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    matrix = (back @ turned @ centre @ cut)[:2]
    result = cv2.warpAffine(picture, matrix, (side_px, side_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(result, np.uint8)


def _coarser(picture: Picture, share: float) -> Picture:
    """As of a vehicle further away."""
    side_px = picture.shape[0]
    small = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side_px, side_px), interpolation=cv2.INTER_LINEAR), np.uint8)


def _smeared(picture: Picture, length_px: int, angle_deg: float) -> Picture:
    """Motion blur along a line."""
    kernel = np.zeros((length_px, length_px), np.float32)
    kernel[length_px // 2] = 1.0
    middle = (length_px - 1) / 2
    kernel = cv2.warpAffine(kernel, cv2.getRotationMatrix2D((middle, middle), angle_deg, 1.0), (length_px, length_px))
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101), np.uint8)


def _table(tones: Tones) -> Picture:
    """(1, 256, 3): what becomes of each grey level."""
    ramp = 255.0 * np.linspace(0.0, 1.0, 256) ** math.exp(tones.ln_gamma)
    return np.clip(ramp[None, :, None] * tones.gains, 0, 255).astype(np.uint8)


def _compressed(picture: NDArray[np.generic], quality: int) -> Picture:
    """As an encoder of that quality leaves it."""
    _, encoded = cv2.imencode(".jpg", np.asarray(picture, np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def _covered(picture: Picture, rng: np.random.Generator) -> Picture:
    """A plain block in front, as another vehicle's roof or a pillar would be."""
    result, side = picture.copy(), picture.shape[0]
    width, height = (max(int(side * share), 1) for share in rng.uniform(0.15, 0.5, 2))
    x, y = int(rng.integers(0, side - width)), int(rng.integers(0, side - height))
    result[y : y + height, x : x + width] = rng.integers(0, 256, 3)
    return result
