"""Tracks and views, written by hand."""

from typing import Any

import numpy as np
from msgspec.structs import replace

from twin.events.ids import SECOND, Micros
from twin.fusion.appearance import View
from twin.fusion.motion import born
from twin.fusion.state import Track


def car(number: int, at: Micros, x: float, y: float, **changes: Any) -> Track:
    """A car that is known as ``v<number>``, seen well and for long, at a place at a time."""
    one = Track(
        id=number,
        level="ground",
        status="moving",
        motion=born(at, x, y, (0.1, 0.0, 0.1), 1.0),
        kind="car",
        kind_scores={"car": 9.0},
        heading=(1.0, 0.0),
        born_at=at - 90 * SECOND,
        first_m=(x, y),
        is_inner_birth=False,
        hits=90,
        seen_at=at,
        seen_by="right",
        vehicle=f"v{number}",
    )
    return replace(one, **changes)


def view(*cosines: float) -> View:
    """Of length 1: so alike to each of the first axes, of which there are three at most."""
    rest = np.sqrt(max(1.0 - sum(one * one for one in cosines), 0.0))
    return View(np.round(127 * np.array([*cosines, *[0.0] * (3 - len(cosines)), rest])).astype(np.int8).tobytes())
