"""A folder of pictures as a frame source, in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from perception.frames import Frame, Image
from perception.video_file import DEFAULT_START_AT
from site_models.schema import CameraId, ClockSource
from twin.errors import SourceError
from twin.events.ids import SECOND, Micros

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


class ImageFolder:
    """Frames of one folder, ``fps`` a second from ``start_at``.

    Raises:
        SourceError: no such folder, or no picture in it.
    """

    is_live = False
    clock: ClockSource = "file"

    def __init__(self, camera: CameraId, folder: Path, *, fps: float, start_at: Micros | None = None) -> None:
        if not folder.is_dir():
            raise SourceError(f"'{folder}' is not a folder; give CAMERA=FOLDER with pictures")
        self.camera = camera
        self._folder = folder
        self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        if not self._paths:
            raise SourceError(f"folder '{folder}' has no picture; it needs files that end in {', '.join(sorted(_SUFFIXES))}")
        self._fps = fps
        self._start_at = DEFAULT_START_AT if start_at is None else start_at
        self._is_interrupted = False

    def frames(self) -> Iterator[Frame]:
        """Every picture that can be read; then a SourceError that names the others."""
        broken: list[str] = []
        for index, path in enumerate(self._paths):
            if self._is_interrupted:
                return
            image = _read(path)
            if image is None:
                broken.append(path.name)
                continue
            at = self._start_at + round(index * SECOND / self._fps)
            yield Frame(camera=self.camera, exposed_at=at, index=index, image=image)
        if broken:
            n = len(self._paths)
            raise SourceError(
                f"folder '{self._folder}': {len(broken)} of {n} pictures cannot be read, the first is '{broken[0]}'; "
                f"the other {n - len(broken)} were used"
            )

    def interrupt(self) -> None:
        self._is_interrupted = True

    def close(self) -> None:
        """Nothing is held open."""


def _read(path: Path) -> Image | None:
    try:
        encoded = np.fromfile(path, np.uint8)
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(image, np.uint8)
