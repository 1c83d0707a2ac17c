"""A plate reader to simulate: it reads what is near and shows its front or back, and makes the mistakes of real ones.

A character in ten is wrong or missing, half of them for one that looks like it, and one reading in a hundred is of something
else. How sure the reader says it is follows how many are wrong, loosely. The shares are of no reader in particular.
"""

from __future__ import annotations

import math

import numpy as np

from perception.synthetic.seeds import generator
from perception.synthetic.views import View
from twin.events.observations import PlateRead

_LEAST_SIDE_PX = 60.0  # of a box: below it characters have fewer than ten pixels
_LEAST_FACING = 0.6  # cosine between the vehicle's axis and the line of sight
_WRONG, _LOOKS_LIKE, _MISSING, _ELSE = 0.1, 0.5, 0.2, 0.01
_LIKE_DIGITS = {"0": "OQD", "1": "IL", "2": "Z", "5": "S", "6": "G", "8": "B"}
_LIKE = _LIKE_DIGITS | {letter: digit for digit, letters in _LIKE_DIGITS.items() for letter in letters}
_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class PlateReader:
    """The reader of one run.

    Args:
        share: of the views that show a plate well, how many are read, 0..1.
    """

    def __init__(self, seed: int, share: float) -> None:
        self._seed, self._share = seed, share

    def read(self, view: View, eye_m: tuple[float, float] | None, tracklet: str, crop: int) -> PlateRead | None:
        """What is read in a crop; None where nothing is.

        Args:
            eye_m: where the camera is; None for one that looks straight down, which sees no plate.
        """
        if not self._share or eye_m is None or not _is_shown(view, eye_m):
            return None
        rng = generator(self._seed, "plate", tracklet, crop)
        if rng.random() >= self._share:
            return None
        plate = view.state.vehicle.plate
        if rng.random() < _ELSE:
            plate = "".join(_CHARACTERS[one] for one in rng.integers(0, len(_CHARACTERS), len(plate)))
        read = [_as_read(one, rng) for one in plate if one.isalnum()]
        n_wrong = sum(ours != one for ours, one in zip(read, (one for one in plate if one.isalnum()), strict=True))
        score = float(np.clip(0.95 - 0.12 * n_wrong + rng.normal(0.0, 0.05), 0.3, 0.99))
        return PlateRead(text="".join(read), score=round(score, 3))


def _is_shown(view: View, eye_m: tuple[float, float]) -> bool:
    x1, y1, x2, y2 = view.box_px
    if view.truncated or min(x2 - x1, y2 - y1) < _LEAST_SIDE_PX:
        return False
    heading, (x, y) = math.radians(view.state.heading_deg), (eye_m[0] - view.state.x_m, eye_m[1] - view.state.y_m)
    return abs(math.cos(heading) * x + math.sin(heading) * y) >= _LEAST_FACING * math.hypot(x, y)


def _as_read(character: str, rng: np.random.Generator) -> str:
    if rng.random() >= _WRONG:
        return character
    kind = rng.random()
    if kind < _LOOKS_LIKE and character in _LIKE:
        return _LIKE[character][int(rng.integers(len(_LIKE[character])))]
    return "" if kind > 1.0 - _MISSING else _CHARACTERS[int(rng.integers(len(_CHARACTERS)))]
