"""How a vehicle looks, as a few signed bytes: by an ONNX model, or by its colours where none is given."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from perception.colour import colour_descriptor
from perception.frames import Image
from perception.inference import Runtime, open_network
from perception.model_file import model_id
from twin.errors import ModelError

_DEFAULT_SIDE_PX = 224
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)


class Embedder(Protocol):
    """Turns a view of a vehicle into an embedding."""

    @property
    def id(self) -> str:
        """Model and version; embeddings of different ids cannot be compared."""
        ...

    def embed(self, view: Image) -> bytes:
        """(H, W, 3) BGR view to E signed bytes; raises ModelError."""
        ...


class ColourEmbedder:
    """Needs no model: see ``colour_descriptor``."""

    id = "colour-128@1"

    def embed(self, view: Image) -> bytes:
        """128 signed bytes."""
        return quantized(colour_descriptor(view))


class OnnxEmbedder:
    """Any model from an RGB picture, normalized as for ImageNet, to one vector.

    Raises:
        ModelError: the output is not one vector a picture.
    """

    def __init__(self, path: Path, *, runtime: Runtime = "auto") -> None:
        self.id = model_id(path)
        self._network = open_network(path, runtime)
        height, width = self._network.input_shape[2], self._network.input_shape[3]
        self._input_px = (width or _DEFAULT_SIDE_PX, height or _DEFAULT_SIDE_PX)
        shape = self._network.run(np.zeros((1, 3, self._input_px[1], self._input_px[0]), np.float32))[0].shape
        if shape[0] != 1 or int(np.prod(shape)) != max(shape) or max(shape) < 2:
            raise ModelError(f"embedder '{path}' gives an output of shape {shape}; (1, E) is needed")

    def embed(self, view: Image) -> bytes:
        """E signed bytes."""
        scaled = cv2.cvtColor(cv2.resize(view, self._input_px, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
        normal = (scaled.astype(np.float32) / np.float32(255.0) - _IMAGENET_MEAN) / _IMAGENET_STD
        batch = np.ascontiguousarray(normal.transpose(2, 0, 1)[None])
        return quantized(self._network.run(batch)[0].ravel())


def quantized(vector: NDArray[np.float32]) -> bytes:
    """A vector to the signed bytes of its L2-normalized components times 127; a zero vector stays zero."""
    length = float(np.linalg.norm(vector))
    unit = vector / length if length > 0.0 and np.isfinite(length) else np.zeros_like(vector)
    return np.rint(unit * 127.0).astype(np.int8).tobytes()


def open_embedder(model: Path | None, *, runtime: Runtime = "auto") -> Embedder:
    """The embedder of a model file, else the colour descriptor; raises ModelError or MissingExtra."""
    return ColourEmbedder() if model is None else OnnxEmbedder(model, runtime=runtime)
