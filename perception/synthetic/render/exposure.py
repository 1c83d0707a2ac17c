"""What a camera's optics, sensor and encoder make of a rendered picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.light import Light

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_GLARE_FROM = 225.0


class Camera(NamedTuple):
    """One camera's character.

    Attributes:
        blur_px: standard deviation of the optics' blur.
        detail: resolution of the sensor as a share of the picture's.
        glare: how much lights bloom.
        contrast, brightness, saturation: of its picture.
        balance: gains of blue, green and red.
        vignette: how much darker the corners are.
        noise: standard deviation in grey levels, in daylight.
        sharpening: of its encoder.
        quality: of a JPEG, 0 to 100; None leaves compression to the video's encoder.
        is_grey_at_night: an infrared camera.
        caption: what it writes into the picture.
    """

    blur_px: float = 0.6
    detail: float = 1.0
    glare: float = 1.0
    contrast: float = 1.0
    brightness: float = 0.0
    saturation: float = 0.85
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    vignette: float = 0.25
    noise: float = 1.5
    sharpening: float = 0.4
    quality: int | None = None
    is_grey_at_night: bool = False
    caption: str = ""


class Smear(NamedTuple):
    """Something that moves while the shutter is open: where it is in the picture, and how far it goes, in pixels."""

    mask: NDArray[np.bool_]
    corner: tuple[int, int]
    step_px: tuple[float, float]


def any_camera(rng: np.random.Generator) -> Camera:
    """A camera of any make and condition."""
    red, green, blue = 1 + rng.normal(0, 0.03, 3)
    return Camera(
        blur_px=float(rng.uniform(0.3, 1.1)) if rng.random() < 0.75 else 0.0,
        detail=float(rng.uniform(0.5, 0.85)) if rng.random() < 0.25 else 1.0,
        glare=float(rng.uniform(0.5, 2.0)),
        contrast=float(rng.uniform(0.8, 1.12)),
        brightness=float(rng.uniform(-14, 18)),
        saturation=float(rng.uniform(0.45, 1.05)),
        balance=(float(blue), float(green), float(red)),
        vignette=float(rng.uniform(0, 0.55)),
        noise=float(rng.uniform(0.8, 4.5)),
        sharpening=float(rng.uniform(0.2, 0.8)) if rng.random() < 0.5 else 0.0,
        quality=int(rng.integers(32, 90)),
        is_grey_at_night=bool(rng.random() < 0.4),
        caption=_caption(rng) if rng.random() < 0.5 else "",
    )


def of_one_make(rng: np.random.Generator, n: int) -> list[Camera]:
    """Cameras of any one make, as those of a site usually are: as far apart as those of the demo's clips."""
    make = any_camera(rng)
    return [_unit(make, rng) for _ in range(n)]


def _unit(make: Camera, rng: np.random.Generator) -> Camera:
    blue, green, red = make.balance * (1 + rng.normal(0, 0.02, 3))
    return make._replace(
        blur_px=max(make.blur_px + float(rng.uniform(-0.1, 0.1)), 0.0),
        contrast=make.contrast * float(rng.uniform(0.95, 1.05)),
        brightness=make.brightness + float(rng.uniform(-6, 6)),
        saturation=make.saturation * float(rng.uniform(0.92, 1.08)),
        balance=(float(blue), float(green), float(red)),
        vignette=max(make.vignette + float(rng.uniform(-0.1, 0.1)), 0.0),
        noise=make.noise * float(rng.uniform(0.75, 1.3)),
        sharpening=make.sharpening * float(rng.uniform(0.75, 1.25)),
    )


def expose(bgr: Bytes, camera: Camera, light: Light, rng: np.random.Generator, smears: Sequence[Smear] = ()) -> Bytes:
    """The picture that comes out of the camera; (H, W, 3) both ways."""
    import cv2

    picture: Any = bgr.astype(np.float32)
    for smear in smears:
        _smear(picture, smear)
    if camera.blur_px:
        picture = cv2.GaussianBlur(picture, (0, 0), camera.blur_px)
    height, width = picture.shape[:2]
    if camera.detail < 1:
        coarse = cv2.resize(picture, None, fx=camera.detail, fy=camera.detail, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    glow = np.maximum(picture - _GLARE_FROM, 0)
    if camera.glare and glow.max() > 0:
        picture += cv2.GaussianBlur(glow, (0, 0), 6) * camera.glare
    if light.rain:
        picture = _rain(picture, light.rain, rng)
    picture = _grade(picture, camera, light)
    picture = _noise(picture, camera, light, rng)
    if camera.sharpening:
        picture = picture + camera.sharpening * (picture - cv2.GaussianBlur(picture, (0, 0), 1.2))
    result = np.clip(picture, 0, 255).astype(np.uint8)
    if camera.caption:
        _write(result, camera.caption)
    if camera.quality is not None:
        result = np.asarray(
            cv2.imdecode(cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, camera.quality])[1], 1), np.uint8
        )
    return result


def _smear(picture: Floats, smear: Smear) -> None:
    """Blur what moves along its way, inside its mask and a little beyond."""
    import cv2

    length = int(np.ceil(np.hypot(*smear.step_px)))
    if length < 2:
        return
    n = 2 * (length // 2) + 1
    kernel = np.zeros((n, n), np.float32)
    ends = np.array(smear.step_px) / 2
    middle = n // 2
    first, last = (tuple(round(float(middle + sign * part)) for part in ends) for sign in (-1, 1))
    cv2.line(kernel, first, last, 1.0)
    kernel /= max(float(kernel.sum()), 1e-6)
    x, y = smear.corner
    height, width = smear.mask.shape
    part = picture[y : y + height, x : x + width]
    soft = cv2.filter2D(smear.mask.astype(np.float32), -1, kernel)[..., None]
    part[:] = part * (1 - soft) + cv2.filter2D(part, -1, kernel) * soft


def _grade(picture: Floats, camera: Camera, light: Light) -> Floats:
    height, width = picture.shape[:2]
    picture = (picture - 128) * camera.contrast + 128 + camera.brightness
    grey = picture.mean(axis=2, keepdims=True)
    saturation = 0.0 if camera.is_grey_at_night and light.hour == "night" else camera.saturation
    picture = (grey + (picture - grey) * saturation) * np.asarray(camera.balance, np.float32)
    if camera.vignette:
        y, x = np.ogrid[:height, :width]
        away = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2).astype(np.float32)
        picture = picture * (1 - camera.vignette * away)[..., None]
    return np.maximum(picture, 0.0).astype(np.float32)


def _noise(picture: Floats, camera: Camera, light: Light, rng: np.random.Generator) -> Any:
    """Fine grain and coarser colour noise, more of both in the dark."""
    import cv2

    height, width = picture.shape[:2]
    sigma = camera.noise * {"night": 2.0, "dusk": 1.6}.get(light.hour, 1.0)
    grain = rng.standard_normal((height, width, 1), dtype=np.float32) * sigma
    chroma = rng.standard_normal(((height + 1) // 2, (width + 1) // 2, 3), dtype=np.float32) * sigma
    return picture + grain + cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR)


def _rain(picture: Floats, rain: float, rng: np.random.Generator) -> Any:
    """Streaks, drops on the lens, less contrast."""
    import cv2

    height, width = picture.shape[:2]
    streaks = np.zeros((height, width), np.float32)
    lean = rng.uniform(-0.25, 0.25)
    for _ in range(int(rain * width * height / 2500)):
        x, y, length = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(8, 30) * height / 540
        end = (int(x + lean * length), int(y + length))
        cv2.line(streaks, (int(x), int(y)), end, float(rng.uniform(0.2, 1.0)), 1, cv2.LINE_AA)
    streaks = cv2.GaussianBlur(streaks, (0, 0), 0.8)
    veil = float(picture.mean()) * 0.25 + 20
    return picture * (1 - 0.18 * rain) + veil * 0.18 * rain + streaks[..., None] * (14 + 18 * rain)


def _write(picture: Bytes, caption: str) -> None:
    import cv2

    scale = picture.shape[0] / 540 * 0.55
    at = (int(12 * scale) + 4, int(28 * scale) + 6)
    for shade, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(picture, caption, at, cv2.FONT_HERSHEY_SIMPLEX, scale, shade, width, cv2.LINE_AA)


def _caption(rng: np.random.Generator) -> str:
    month, day, hour, minute, second = (
        int(rng.integers(low, high)) for low, high in ((1, 13), (1, 29), (0, 24), (0, 60), (0, 60))
    )
    return f"CAM{int(rng.integers(1, 30)):02d}  2026-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}"
