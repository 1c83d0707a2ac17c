"""What colour a vehicle has in a view and of what shape it is, as words with a score; nothing where no reader is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import cv2
import numpy as np

from perception.frames import Image
from perception.inference import Floats, Runtime, open_network
from perception.model_file import model_id
from twin.errors import ModelError
from twin.events.observations import Attribute, Colour, VehicleKind

LEAST_SCORE = 0.7
"""A word of which the reader is less sure is left out: of dark paint it says at 0.5 to 0.65 what is wrong."""

Word = TypeVar("Word", bound=str)

_COLOURS: tuple[Colour, ...] = ("white", "grey", "yellow", "red", "green", "blue", "black")
_BODIES: tuple[VehicleKind, ...] = ("car", "bus", "truck", "van")


@dataclass(frozen=True, slots=True)
class Attributes:
    """What was told of a view; None where it could not be."""

    colour: Attribute[Colour] | None = None
    body: Attribute[VehicleKind] | None = None


class AttributeReader(Protocol):
    """Tells a vehicle's colour and shape from a view of it."""

    @property
    def id(self) -> str:
        """Model and version; scores of different ids cannot be compared."""
        ...

    def read(self, view: Image) -> Attributes:
        """(H, W, 3) BGR view of a vehicle on four wheels or more; raises ModelError."""
        ...


class BarrierAttributes:
    """Open Model Zoo's vehicle-attributes-recognition-barrier-0039, or a model with the same input and outputs.

    It takes a BGR picture of 72x72, 0 to 255, and gives two distributions: over 7 colours and over 4 shapes. It was made for
    cameras at barriers, that is, for fronts of cars from near.

    Raises:
        ModelError: the outputs are not of 7 and 4 probabilities.
        MissingExtra: as ``open_network``.

    Source: the model's card in the Open Model Zoo, on input, outputs and the order of words.
    """

    def __init__(self, path: Path, *, runtime: Runtime = "auto") -> None:
        self.id = model_id(path)
        self._path = path
        self._network = open_network(path, runtime)
        height, width = self._network.input_shape[2], self._network.input_shape[3]
        self._input_px = (width or 72, height or 72)
        self._distributions(np.zeros((*self._input_px[::-1], 3), np.uint8))

    def read(self, view: Image) -> Attributes:
        """See ``AttributeReader``."""
        colours, bodies = self._distributions(view)
        return Attributes(likeliest(_COLOURS, colours, self.id), likeliest(_BODIES, bodies, self.id))

    def _distributions(self, view: Image) -> tuple[Floats, Floats]:
        scaled = cv2.resize(view, self._input_px, interpolation=cv2.INTER_AREA)
        batch = np.ascontiguousarray(scaled.astype(np.float32).transpose(2, 0, 1)[None])
        outputs = [output.ravel() for output in self._network.run(batch)]
        by_length = {len(output): output for output in outputs}
        if len(outputs) != 2 or set(by_length) != {len(_COLOURS), len(_BODIES)}:
            lengths = ", ".join(str(len(output)) for output in outputs)
            raise ModelError(
                f"attribute model '{self._path}' gives outputs of {lengths} numbers; {len(_COLOURS)} colours and "
                f"{len(_BODIES)} shapes are needed, as of vehicle-attributes-recognition-barrier-0039"
            )
        return by_length[len(_COLOURS)], by_length[len(_BODIES)]


def likeliest(words: Sequence[Word], scores: Floats, model: str) -> Attribute[Word] | None:
    """The word of the largest of as many probabilities; None below ``LEAST_SCORE``."""
    best = int(np.argmax(scores))
    score = min(float(scores[best]), 1.0)
    return Attribute(name=words[best], score=round(score, 4), model=model) if score >= LEAST_SCORE else None
