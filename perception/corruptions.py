"""What weather, lenses, sensors and networks do to pictures: the same frame of the same seed always in the same way.

Strengths are about those of severity 3 for whole scenes, milder where vehicles are small.

Source of the kinds: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions" (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import cv2
import numpy as np

from perception.frames import Frame, FrameSource, Image
from perception.synthetic.seeds import generator
from site_models.schema import CameraId, ClockSource
from twin.errors import BadInput

NOISE_SIGMA = 20.0
BLUR_SIGMA_PX = 1.8
DARK_SHARE, DARK_SIGMA = 0.3, 8.0
JPEG_QUALITY = 12
FOG_SHARE, FOG_GREY = 0.55, 200.0
N_BLOTCHES = 12
"""Of dirt on the lens, each up to an eighth of the frame's width."""

Corruption = Callable[[Image, np.random.Generator, np.random.Generator], Image]
"""Of a picture, a stream of the camera (the same for each of its frames) and a stream of the frame."""


def noise(image: Image, _: np.random.Generator, frame: np.random.Generator) -> Image:
    """A sensor's grain."""
    return _whole(image + frame.standard_normal(image.shape, dtype=np.float32) * np.float32(NOISE_SIGMA))


def blur(image: Image, _: np.random.Generator, frame: np.random.Generator) -> Image:
    """Out of focus."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR_SIGMA_PX), dtype=np.uint8)


def dark(image: Image, _: np.random.Generator, frame: np.random.Generator) -> Image:
    """Underexposed at dusk, with grain."""
    grain = frame.standard_normal(image.shape, dtype=np.float32) * np.float32(DARK_SIGMA)
    return _whole(image.astype(np.float32) * np.float32(DARK_SHARE) + grain)


def jpeg(image: Image, _: np.random.Generator, frame: np.random.Generator) -> Image:
    """Compressed far too much."""
    _is_done, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)


def fog(image: Image, _: np.random.Generator, frame: np.random.Generator) -> Image:
    """Grey air, thicker towards the top, which is farther away."""
    share = np.linspace(FOG_SHARE, 0.5 * FOG_SHARE, image.shape[0], dtype=np.float32)[:, None, None]
    return _whole(image.astype(np.float32) * (1 - share) + share * np.float32(FOG_GREY))


def dirt(image: Image, camera: np.random.Generator, frame: np.random.Generator) -> Image:
    """Blotches on the lens, always at the same places."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), dtype=np.float32)
    for _blotch in range(N_BLOTCHES):
        middle = int(camera.integers(width)), int(camera.integers(height))
        cv2.circle(mask, middle, int(camera.integers(width // 40, width // 16)), 0.85, -1)
    share = np.asarray(cv2.GaussianBlur(mask, (0, 0), width / 120), dtype=np.float32)[:, :, None]
    return _whole(image.astype(np.float32) * (1 - share) + share * np.float32(70.0))


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {"noise": noise, "blur": blur, "dark": dark, "jpeg": jpeg, "fog": fog, "dirt": dirt}
)


def corruption_named(name: str) -> Corruption:
    """A corruption by its name; raises BadInput for one that there is not."""
    if name not in CORRUPTIONS:
        raise BadInput(f"corruption '{name}' is not known; use one of {', '.join(CORRUPTIONS)}")
    return CORRUPTIONS[name]


class CorruptedSource:
    """A source with every frame corrupted."""

    def __init__(self, source: FrameSource, corruption: Corruption, seed: int) -> None:
        self._source, self._corruption, self._seed = source, corruption, seed

    @property
    def camera(self) -> CameraId:
        """See ``FrameSource``."""
        return self._source.camera

    @property
    def clock(self) -> ClockSource:
        """See ``FrameSource``."""
        return self._source.clock

    @property
    def is_live(self) -> bool:
        """See ``FrameSource``."""
        return self._source.is_live

    def frames(self) -> Iterator[Frame]:
        """The source's frames, corrupted."""
        names = "corruption", str(self._source.camera)
        for frame in self._source.frames():
            of_camera, of_frame = generator(self._seed, *names), generator(self._seed, *names, frame.index)
            image = self._corruption(frame.image, of_camera, of_frame)
            yield Frame(camera=frame.camera, exposed_at=frame.exposed_at, index=frame.index, image=image)

    def interrupt(self) -> None:
        """See ``FrameSource``."""
        self._source.interrupt()

    def close(self) -> None:
        """See ``FrameSource``."""
        self._source.close()


def _whole(image: np.ndarray) -> Image:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
