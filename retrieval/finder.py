"""Where the vehicle is in a picture that somebody sent: given from outside, since detectors are the edge's business."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct

from retrieval.images import Image
from twin.errors import NothingSeen
from twin.events.observations import VehicleKind

Box = tuple[float, float, float, float]

LEAST_SCORE = 0.4
LARGEST_CROP_PX = 256
"""Longer side up to which a picture in which nothing is found may be a crop: detectors want something around a vehicle."""
MARGIN = 0.25
"""Grey that is put around a picture, as a share of its sides, so that one that a vehicle fills is found too."""
GREY = 114


class FoundVehicle(Struct, frozen=True, kw_only=True):
    """A vehicle in a picture: its box in pixels of it, x1, y1, x2, y2."""

    box_px: Box
    score: float
    kind: VehicleKind


class VehicleFinder(Protocol):
    """Finds vehicles in (H, W, 3) BGR pictures."""

    def find(self, image: Image) -> Sequence[FoundVehicle]:
        """Best first."""
        ...


class Subject(Struct, frozen=True, kw_only=True, eq=False):
    """What of a picture is compared.

    Attributes:
        image: the vehicle's part, or the whole picture.
        vehicle: None where the whole picture is taken to be the vehicle.
    """

    image: Image
    picture_px: tuple[int, int]
    vehicle: FoundVehicle | None = None


class Finding:
    """A finder, used for one picture at a time, beside the event loop."""

    def __init__(self, finder: VehicleFinder | None = None) -> None:
        self._finder = finder
        self._lock = asyncio.Lock()

    async def subject(self, image: Image, *, is_crop: bool = False) -> Subject:
        """The vehicle in a picture: of several the one with the largest box, weighed by how sure it is.

        Args:
            is_crop: the asker says that the whole picture is the vehicle.

        Raises:
            NothingSeen: no vehicle is found in it.
        """
        height, width = image.shape[:2]
        whole = Subject(image=image, picture_px=(width, height))
        if is_crop or self._finder is None:
            return whole
        async with self._lock:
            found = await asyncio.to_thread(self._find, image)
        sure = [one for one in found if one.score >= LEAST_SCORE]
        if not sure:
            if max(width, height) <= LARGEST_CROP_PX:
                return whole
            best = max((one.score for one in found), default=0.0)
            raise NothingSeen(
                f"no vehicle is found in the picture of {width} x {height} pixels (the likeliest scores {best:.2f} of "
                f"{LEAST_SCORE}); send one that shows a vehicle, or one that is cut to the vehicle with crop=whole"
            )
        vehicle = max(sure, key=lambda one: (one.score * _area(one.box_px), one.box_px))
        x1, y1, x2, y2 = (round(edge) for edge in vehicle.box_px)
        return Subject(image=image[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)], picture_px=(width, height), vehicle=vehicle)

    def _find(self, image: Image) -> list[FoundVehicle]:
        assert self._finder is not None
        height, width = image.shape[:2]
        top, left = round(MARGIN * height), round(MARGIN * width)
        around = np.full((height + 2 * top, width + 2 * left, 3), GREY, np.uint8)
        around[top : top + height, left : left + width] = image
        found = list[FoundVehicle]()
        for one in self._finder.find(around):
            x1, y1, x2, y2 = one.box_px
            box = (max(0.0, x1 - left), max(0.0, y1 - top), min(float(width), x2 - left), min(float(height), y2 - top))
            if box[2] - box[0] >= 1.0 and box[3] - box[1] >= 1.0:
                found.append(FoundVehicle(box_px=box, score=one.score, kind=one.kind))
        return found


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
