"""Number plates: one model finds the plate in a view of a vehicle, another reads the line of text on it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from perception.crops import cut
from perception.frames import Image
from perception.inference import Floats, Runtime, open_network
from perception.model_file import model_id
from twin.errors import BadInput, MissingExtra, ModelError
from twin.events.ids import SECOND, Micros, TrackletId
from twin.events.observations import PlateRead

_READER_PACKAGES = ("rapidocr_onnxruntime", "rapidocr")

CONTEXT = 0.2
"""Margin of the view to give, as of ``cut``."""

_PLATE_CLASS = 2  # 1 is a vehicle
_ROOM, _GREY = 2.0, 110  # the finder was made for whole pictures: it finds next to nothing where the vehicle fills its picture
_LEAST_FOUND = 0.5
_LEAST_WIDTH_PX, _LEAST_HEIGHT_PX = 40, 10  # below it characters have fewer than six pixels
_MARGIN = 0.06
_LINE_PX, _MOST_LINE_PX = 48, 480
_N_SHORT, _N_LONG = 4, 16  # fewer characters are no plate, nor are more

_GOOD_QUALITY = 0.4
_MOST_READS = 4
_FORGOTTEN_AFTER: Micros = 60 * SECOND


class PlateReader(Protocol):
    """Reads the number plate in a view of a vehicle."""

    @property
    def id(self) -> str:
        """Models and versions."""
        ...

    def read(self, view: Image) -> PlateRead | None:
        """What a (H, W, 3) BGR view with a margin of ``CONTEXT`` shows; None where none is read; raises ModelError."""
        ...


class FoundPlates:
    """A plate finder of the Open Model Zoo (vehicle-license-plate-detection-barrier-0106) before a text reader.

    Args:
        finder: takes a BGR picture, 0 to 255, and gives rows of (picture, class, score, x1, y1, x2, y2), in shares of its
            sides.
        reader: see ``TextLine``.

    Raises:
        ModelError, MissingExtra: as ``open_network``, and where the outputs are others.
    """

    def __init__(self, finder: Path, reader: Path, *, runtime: Runtime = "auto") -> None:
        self._path, self._finder = finder, open_network(finder, runtime)
        self._line = TextLine(reader, runtime=runtime)
        self.id = f"{model_id(finder)}+{model_id(reader)}"
        height, width = self._finder.input_shape[2], self._finder.input_shape[3]
        self._input_px = (width or 300, height or 300)
        self._found(np.zeros((*self._input_px[::-1], 3), np.uint8))

    def read(self, view: Image) -> PlateRead | None:
        """See ``PlateReader``; the score is the finder's times the mean of the characters'."""
        view = _with_room(view)
        rows = self._found(view)
        rows = rows[(rows[:, 1] == _PLATE_CLASS) & (rows[:, 2] >= _LEAST_FOUND)]
        if not len(rows):
            return None
        best = rows[int(np.argmax(rows[:, 2]))]
        height, width = view.shape[:2]
        x1, y1, x2, y2 = (float(share) * side for share, side in zip(best[3:], (width, height) * 2, strict=True))
        if x2 - x1 < _LEAST_WIDTH_PX or y2 - y1 < _LEAST_HEIGHT_PX:
            return None
        text, score = self._line.read(cut(view, (x1, y1, x2, y2), margin=_MARGIN))
        bare = "".join(one for one in text.upper() if one.isascii() and one.isalnum())
        if not _N_SHORT <= len(bare) <= _N_LONG:
            return None
        return PlateRead(text=bare, score=round(min(float(best[2]), 1.0) * score, 4))

    def _found(self, view: Image) -> Floats:
        scaled = cv2.resize(view, self._input_px, interpolation=cv2.INTER_AREA).astype(np.float32)
        output = self._finder.run(np.ascontiguousarray(scaled.transpose(2, 0, 1)[None]))[0]
        if output.shape[-1] != 7:
            raise ModelError(f"plate finder '{self._path}' gives an output of shape {output.shape}; rows of 7 are needed")
        return output.reshape(-1, 7)


def _with_room(view: Image) -> Image:
    """The view in the middle of a grey square."""
    height, width = view.shape[:2]
    side = round(_ROOM * max(height, width))
    square = np.full((side, side, 3), _GREY, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = view
    return square


class TextLine:
    """A line of text, by a recognizer with a CTC head whose file names its characters, as those of PaddleOCR do.

    Raises:
        ModelError: the file names no characters, or does not give a distribution over them.

    Source: Graves et al., "Connectionist temporal classification" (2006), on best path decoding.
    """

    def __init__(self, path: Path, *, runtime: Runtime = "auto") -> None:
        self._network = open_network(path, runtime)
        characters = self._network.metadata.get("character", "").removesuffix("\n").split("\n")
        self._characters = ["", *characters, " "]  # the first is CTC's blank
        found = self._scores(np.zeros((_LINE_PX, 2 * _LINE_PX, 3), np.uint8)).shape[1]
        if found != len(self._characters):
            raise ModelError(
                f"text reader '{path}' tells {found} characters apart, but its metadata names {len(characters)}; a recognizer "
                "of PaddleOCR as ONNX is needed, with its 'character' entry"
            )

    def read(self, line: Image) -> tuple[str, float]:
        """(H, W, 3) BGR picture of one line to its text, and the mean of its characters' probabilities; 0 without any."""
        scores = self._scores(line)
        best, previous = scores.argmax(axis=1), np.r_[0, scores.argmax(axis=1)[:-1]]
        places = np.flatnonzero((best != 0) & (best != previous))
        if not len(places):
            return "", 0.0
        text = "".join(self._characters[best[place]] for place in places)
        return text, min(float(np.mean([scores[place, best[place]] for place in places])), 1.0)

    def _scores(self, line: Image) -> Floats:
        """(steps, characters)."""
        width = min(max(round(line.shape[1] * _LINE_PX / line.shape[0]), _LINE_PX), _MOST_LINE_PX)
        scaled = cv2.resize(line, (width, _LINE_PX), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        normal = scaled / np.float32(127.5) - np.float32(1.0)
        output = self._network.run(np.ascontiguousarray(normal.transpose(2, 0, 1)[None]))[0]
        return output.reshape(-1, output.shape[-1])


@dataclass(slots=True)
class _Reads:
    n: int = 0
    seen_at: Micros = 0


class PlateTurns:
    """Decides which kept views are read: good ones only, at most four a tracklet, as readings outvote each other."""

    def __init__(self) -> None:
        self._reads: dict[TrackletId, _Reads] = {}

    def takes(self, tracklet: TrackletId, at: Micros, quality: float) -> bool:
        """Whether to read this view; if so, it counts."""
        reads = self._reads.setdefault(tracklet, _Reads())
        reads.seen_at = at
        if quality < _GOOD_QUALITY or reads.n >= _MOST_READS:
            return False
        reads.n += 1
        return True

    def forget(self, at: Micros) -> None:
        """Drop tracklets of which no view was kept for a minute."""
        for tracklet in [one for one, reads in self._reads.items() if at - reads.seen_at > _FORGOTTEN_AFTER]:
            del self._reads[tracklet]


def installed_reader() -> Path:
    """The text recognizer that the extra ``plates`` brings; raises MissingExtra."""
    for package in _READER_PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            if found := sorted((Path(folder) / "models").glob("*_rec_*.onnx")):
                return found[0]
    raise MissingExtra("reading plates needs a text recognizer; install '.[plates]', or give --plate-reader FILE")


def open_plates(finder: Path | None, reader: Path | None, *, runtime: Runtime = "auto") -> PlateReader | None:
    """The plate reader of a finder's file, None without one; raises BadInput, ModelError or MissingExtra."""
    if finder is None:
        if reader is not None:
            raise BadInput(f"--plate-reader '{reader}' reads what --plates finds; give --plates FILE too")
        return None
    return FoundPlates(finder, reader or installed_reader(), runtime=runtime)
