"""Domain randomization: every draw of a frame is another camera, another light, another compression.

Sources: Tobin et al., "Domain randomization for transferring deep neural networks from simulation to the real
world" (2017); mosaic: Bochkovskiy et al., "YOLOv4" (2020), section 3.3; cutout: DeVries & Taylor (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from perception.frames import Image
from perception.training.frames_dataset import Boxes

_GREY = 114  # what the detector pads with
Picture = tuple[Image, Boxes]
Changed = NDArray[Any]  # uint8, though OpenCV's types do not say so
Draw = Callable[[], Picture]


@dataclass(frozen=True, slots=True)
class Strength:
    """How far pictures are changed.

    Attributes:
        mosaic: chance that four frames share a picture.
        zoom: least and greatest enlargement over the plain fit.
        pixels: chance scale of every change of colour and sharpness, 0..1.
    """

    mosaic: float
    zoom: tuple[float, float]
    pixels: float


STRONG = Strength(mosaic=0.35, zoom=(0.6, 1.8), pixels=0.8)
MILD = Strength(mosaic=0.0, zoom=(0.85, 1.3), pixels=0.4)


def randomized(draw: Draw, size_px: tuple[int, int], strength: Strength, rng: np.random.Generator) -> Picture:
    """One training picture of (height, width, 3) and its vehicles.

    Args:
        draw: gives a frame and its vehicles; called once, or four times for a mosaic.
        size_px: width and height of the network's input.
    """
    if rng.random() < strength.mosaic:
        image, boxes = _mosaic(draw, size_px, strength, rng)
    else:
        image = np.full((size_px[1], size_px[0], 3), _GREY, np.uint8)
        boxes = _place(draw(), image, (0, 0, *size_px), 1.0, strength, rng)
    return _changed_pixels(image, boxes, strength.pixels, rng), boxes


def _mosaic(draw: Draw, size_px: tuple[int, int], strength: Strength, rng: np.random.Generator) -> Picture:
    width, height = size_px
    x, y = round(width * rng.uniform(0.3, 0.7)), round(height * rng.uniform(0.3, 0.7))
    image = np.full((height, width, 3), _GREY, np.uint8)
    tiles = ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height))
    return image, Boxes.joined([_place(draw(), image, tile, 0.75, strength, rng) for tile in tiles])


def _place(
    picture: Picture, canvas: Image, tile: tuple[int, int, int, int], fit: float, strength: Strength, rng: np.random.Generator
) -> Boxes:
    """Draw a frame into a tile of the canvas, zoomed, shifted and perhaps mirrored; returns its vehicles there."""
    image, boxes = picture
    left, top, right, bottom = tile
    height, width = image.shape[:2]
    scale = fit * min(canvas.shape[1] / width, canvas.shape[0] / height) * np.exp(rng.uniform(*np.log(strength.zoom)))
    scale_xy = scale * np.exp(rng.uniform(-0.08, 0.08, 2))
    free = np.array([right - left, bottom - top]) - scale_xy * (width, height)
    shift = free * rng.uniform(0.0, 1.0, 2)
    matrix = np.array([[scale_xy[0], 0.0, shift[0]], [0.0, scale_xy[1], shift[1]]])
    if rng.random() < 0.5:
        matrix[0] = [-scale_xy[0], 0.0, shift[0] + scale_xy[0] * width]
    warped = cv2.warpAffine(
        image, matrix, (right - left, bottom - top), borderMode=cv2.BORDER_CONSTANT, borderValue=(_GREY,) * 3
    )
    canvas[top:bottom, left:right] = warped
    matrix[:, 2] += (left, top)
    return boxes.moved(matrix, (left, top, right, bottom))


def _changed_pixels(image: Image, boxes: Boxes, chance: float, rng: np.random.Generator) -> Image:
    if rng.random() < 0.3 * chance:
        image = _cutout(image, boxes, rng)
    for share, change in _CHANGES:
        if rng.random() < share * chance:
            image = np.asarray(change(image, rng), np.uint8)
    return image


def _cutout(image: Image, boxes: Boxes, rng: np.random.Generator) -> Image:
    """Hide up to 30 % of each of up to three vehicles, and as many other places."""
    image = image.copy()
    height, width = image.shape[:2]
    chosen = boxes.px[rng.permutation(len(boxes.px))[:3]]
    places = np.concatenate((rng.uniform(0, (width, height), (3, 2)), 0.5 * (chosen[:, :2] + chosen[:, 2:])))
    sides = np.concatenate((rng.uniform(4, 40, (3, 2)), chosen[:, 2:] - chosen[:, :2]))
    sides *= np.sqrt(rng.uniform(0.05, 0.3, (len(sides), 1)))
    corners = places + rng.uniform(-0.5, 0.5, places.shape) * sides
    for (x, y), (w, h) in zip(corners.tolist(), sides.tolist(), strict=True):
        colour = rng.integers(0, 256, 3).tolist()
        cv2.rectangle(image, (round(x - w / 2), round(y - h / 2)), (round(x + w / 2), round(y + h / 2)), colour, -1)
    return image


def _hue_and_saturation(image: Image, rng: np.random.Generator) -> Changed:
    hue, saturation = rng.uniform(-12, 12), np.exp(rng.uniform(-0.7, 0.5))
    levels = np.arange(256)
    tables = np.stack(((levels + round(hue)) % 180, np.clip(levels * saturation, 0, 255), levels), axis=1)
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    return cv2.cvtColor(cv2.LUT(hsv, tables.astype(np.uint8)[None]), cv2.COLOR_HSV2BGR)


def _greyscale(image: Image, rng: np.random.Generator) -> Changed:
    """As a camera at night."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def _tone(image: Image, rng: np.random.Generator) -> Changed:
    """Gamma, contrast and brightness, and a colour cast."""
    gamma, contrast = np.exp(rng.uniform(-0.6, 0.6)), np.exp(rng.uniform(-0.35, 0.35))
    cast = 1.0 + rng.uniform(-0.08, 0.08, 3)
    curve = (np.linspace(0.0, 1.0, 256) ** gamma - 0.5) * contrast + 0.5 + rng.uniform(-0.12, 0.12)
    return cv2.LUT(image, np.clip(curve[:, None] * cast * 255.0, 0, 255).astype(np.uint8)[None])


def _uneven_light(image: Image, rng: np.random.Generator) -> Changed:
    """A smooth field of shade and glare over the picture."""
    field = cv2.resize(
        rng.uniform(0.5, 1.4, (3, 4)).astype(np.float32), (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR
    )
    return cv2.multiply(image, cv2.merge([field] * 3), dtype=cv2.CV_8U)


def _blur(image: Image, rng: np.random.Generator) -> Changed:
    """Out of focus, or smeared along a line by motion."""
    if rng.random() < 0.6:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    kernel = np.zeros((7, 7), np.float32)
    end = 3.0 + 3.0 * np.array([np.cos(angle := rng.uniform(0, np.pi)), np.sin(angle)])
    start = 6.0 - end
    cv2.line(kernel, tuple(np.round(start).astype(int).tolist()), tuple(np.round(end).astype(int).tolist()), 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _noise(image: Image, rng: np.random.Generator) -> Changed:
    """Sensor noise, fine or in blotches as compression leaves it."""
    grain, amplitude = int(rng.integers(1, 3)), rng.uniform(2.0, 20.0)
    height, width = -(-image.shape[0] // grain), -(-image.shape[1] // grain)
    noise = np.frombuffer(rng.bytes(height * width * 3), np.uint8).reshape(height, width, 3)
    if grain > 1:
        noise = cv2.resize(noise, (image.shape[1], image.shape[0]))
    return cv2.addWeighted(image, 1.0, noise, amplitude / 127.5, -amplitude)


def _jpeg(image: Image, rng: np.random.Generator) -> Changed:
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return image if decoded is None else decoded


_CHANGES: tuple[tuple[float, Callable[[Image, np.random.Generator], Changed]], ...] = (
    (0.6, _hue_and_saturation),
    (0.08, _greyscale),
    (0.8, _tone),
    (0.2, _uneven_light),
    (0.3, _blur),
    (0.4, _noise),
    (0.3, _jpeg),
)
