"""The noise profiles of FORMATS.md, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from twin.errors import BadInput


class NoiseProfile(Struct, frozen=True, kw_only=True):
    """One column of the table.

    Attributes:
        detection: probability for a vehicle that is unoccluded and large.
        false_boxes: mean number a frame.
        box_sigma: standard deviation of each box edge, as a share of the box's size.
        break_s: mean time between breaks of a tracklet; None: never.
        swap: probability that two boxes that cross exchange their tracklets.
        look_sigma: norm of an embedding's noise. It was found by bisection, over 40 draws of 101 vehicles with the
            profile's share of look-alikes, so that one crop in one camera finds its vehicle among one crop each of all in
            another camera with the rank-1 that the table states (0.75, 0.55).
        lookalikes: share of vehicles that share model and colour with another.
        clock_offset_s, clock_drift_ppm: largest, either way; even in between.
        delay_mean_s: of the exponential part of arrival after capture; the fixed part is ``FIXED_DELAY_S``.
        outages_a_day, outage_s: how many for each camera, and the shortest and the longest.
        dropped, late: shares of frames; late ones arrive up to ``MOST_LATE_S`` later.
        plates: share of the crops that show a number plate well in which it is read, by ``plates.PlateReader``.
    """

    name: str
    detection: float
    false_boxes: float
    box_sigma: float
    break_s: float | None
    swap: float
    look_sigma: float
    lookalikes: float
    clock_offset_s: float
    clock_drift_ppm: float
    delay_mean_s: float
    outages_a_day: int
    outage_s: tuple[float, float]
    dropped: float
    late: float
    plates: float = 0.0


FIXED_DELAY_S = 0.020
MOST_LATE_S = 5.0
OCCLUDED = 0.70
"""Share of a box that is covered from which on nothing is detected."""
SMALLEST_PX = 12.0
"""Shorter side of a box at which nothing is detected."""
LARGE_PX = 32.0
"""Shorter side of a box from which on size does not matter."""
BOX_CORRELATION_S = 0.5

CLEAN = NoiseProfile(
    name="clean",
    detection=1.0,
    false_boxes=0.0,
    box_sigma=0.0,
    break_s=None,
    swap=0.0,
    look_sigma=0.0,
    lookalikes=0.2,
    clock_offset_s=0.0,
    clock_drift_ppm=0.0,
    delay_mean_s=0.0,
    outages_a_day=0,
    outage_s=(0.0, 0.0),
    dropped=0.0,
    late=0.0,
)
DEFAULT = NoiseProfile(
    name="default",
    detection=0.95,
    false_boxes=0.05,
    box_sigma=0.04,
    break_s=30.0,
    swap=0.1,
    look_sigma=0.677,
    lookalikes=0.2,
    clock_offset_s=2.0,
    clock_drift_ppm=50.0,
    delay_mean_s=0.060,
    outages_a_day=2,
    outage_s=(10.0, 120.0),
    dropped=0.01,
    late=0.01,
)
HARSH = NoiseProfile(
    name="harsh",
    detection=0.90,
    false_boxes=0.10,
    box_sigma=0.08,
    break_s=15.0,
    swap=0.2,
    look_sigma=0.787,
    lookalikes=0.4,
    clock_offset_s=4.0,
    clock_drift_ppm=100.0,
    delay_mean_s=0.200,
    outages_a_day=4,
    outage_s=(10.0, 240.0),
    dropped=0.02,
    late=0.02,
)
PROFILES: Mapping[str, NoiseProfile] = MappingProxyType({one.name: one for one in (CLEAN, DEFAULT, HARSH)})


def profile(name: str) -> NoiseProfile:
    """A profile by its name; raises BadInput for one that does not exist."""
    if name not in PROFILES:
        raise BadInput(f"noise profile '{name}' is not known; choose one of {', '.join(PROFILES)}")
    return PROFILES[name]


def detection_probability(row: NoiseProfile, covered: float, side_px: float) -> float:
    """Of a box whose share ``covered`` is hidden and whose shorter side is ``side_px``."""
    by_cover = max(0.0, 1.0 - (covered / OCCLUDED) ** 2)
    by_size = min(1.0, max(0.0, (side_px - SMALLEST_PX) / (LARGE_PX - SMALLEST_PX)))
    return row.detection * by_cover * by_size
