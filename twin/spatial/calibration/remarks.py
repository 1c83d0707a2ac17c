"""What a person should know of a calibration before trusting it, each with its numbers and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from msgspec import Struct
from shapely import MultiPoint, Point, Polygon, convex_hull

from twin.spatial.calibration.marks import Marks
from twin.spatial.calibration.quality import Calibration, ground_pixels
from twin.spatial.compiled import Floats

Code = Literal[
    "too_few",
    "outside",
    "mirrored",
    "degenerate",
    "collinear",
    "bunched",
    "unchecked",
    "outlier",
    "rough",
    "extrapolated",
    "horizon",
    "focal_open",
    "lens_assumed",
    "lines_unused",
]
_LEAST_SPREAD = 0.05  # of the smaller to the larger extent of the points
_LEAST_HULL = 0.15  # share of the ground in the picture that the pairs should enclose
_ROUGH = 3.0  # sigmas
_MOST_BEYOND = 0.5
_FOCAL_OPEN = 0.15
_LENS_PAIRS = 12  # so many say something of the lens by themselves


class Remark(Struct, frozen=True, kw_only=True):
    """One of them.

    Attributes:
        severity: "error": there is no calibration; "warning": it may be wrong; "note": what to know.
        text: what is so, with numbers, and what to do.
        pairs: which ones it is about, counted from 1.
    """

    code: Code
    severity: Literal["error", "warning", "note"]
    text: str
    pairs: tuple[int, ...] = ()


def of_marks(marks: Marks) -> Iterator[Remark]:
    """What the pairs themselves say."""
    for name, points in (("in the picture", marks.pixels()), ("on the ground", marks.ground())):
        if len(points) >= 3 and (spread := _spread(points)) < _LEAST_SPREAD:
            yield Remark(
                code="collinear",
                severity="warning",
                text=f"The points are nearly on one line {name}: their extent across it is {100 * spread:.1f} % of that along"
                " it. Add points to both sides of it.",
            )
    if len(marks.pairs) == 4:
        yield Remark(
            code="unchecked",
            severity="warning",
            text="4 pairs fit almost anything, so a wrong one does not show. Add two more, better four.",
        )


def outside(marks: Marks) -> Remark | None:
    """That a mark is not in the picture, of which no lens model would say anything."""
    width, height = marks.frame_px
    pairs = ((f"Pair {number}", (number,), pair.pixel_px) for number, pair in enumerate(marks.pairs, 1))
    lines = ((f"A point of line {number}", (), point) for number, line in enumerate(marks.lines_px, 1) for point in line)
    for what, numbers, (x, y) in (*pairs, *lines):
        if not (0.0 <= x <= width and 0.0 <= y <= height):
            text = (
                f"{what} is marked at ({x:.6g}, {y:.6g}), outside the picture of {width} x {height} px. Marks are pixels of the"
                " full frame; scale those of a smaller or larger copy."
            )
            return Remark(code="outside", severity="error", text=text, pairs=numbers)
    return None


def of_calibration(made: Calibration, marks: Marks) -> Iterator[Remark]:
    """What the result says."""
    pixels, ground = ground_pixels(made.geometry, marks)
    yield from _bunched(pixels, marks)
    yield from _rough(made, marks)
    yield from _beyond(ground, marks)
    if made.horizon_px is not None:
        yield Remark(
            code="horizon",
            severity="note",
            text=f"The horizon is in the picture, at row {made.horizon_px:.0f} of {marks.frame_px[1]} in the middle: what is"
            " above it is not on the ground.",
        )
    yield from _lens(made, marks)


def outlier(number: int, off_px: float) -> Remark:
    """That a pair does not fit the others."""
    return Remark(
        code="outlier",
        severity="warning",
        text=f"Pair {number} does not fit the others: they have it {off_px:.0f} px from where it is marked. Look at it first:"
        " in the picture and on the plan, is it the same point?",
        pairs=(number,),
    )


def _bunched(pixels: Floats, marks: Marks) -> Iterator[Remark]:
    """Of the picture's ground, how much the pairs enclose."""
    if len(pixels) < 3:
        return
    shown, marked = convex_hull(MultiPoint(pixels)), convex_hull(MultiPoint(marks.pixels()))
    share = marked.intersection(shown).area / shown.area if shown.area > 0 else 0.0
    if share < _LEAST_HULL:
        yield Remark(
            code="bunched",
            severity="warning",
            text=f"The points enclose {100 * share:.0f} % of the ground in the picture. Spread them to all sides.",
        )


def _rough(made: Calibration, marks: Marks) -> Iterator[Remark]:
    if made.rms_px > _ROUGH * marks.sigma_px:
        yield Remark(
            code="rough",
            severity="warning",
            text=f"The points are {made.rms_px:.1f} px from where they should be, where {marks.sigma_px:g} px is usual: a wrong"
            " pair, a plan that is not to scale, a slope, or a lens that bends more than this model.",
        )


def _beyond(ground: Floats, marks: Marks) -> Iterator[Remark]:
    """Of the ground in the picture, how much lies beyond the pairs."""
    hull = convex_hull(MultiPoint(marks.ground()))
    if len(ground) == 0 or not isinstance(hull, Polygon):
        return
    grown = hull.buffer(0.15 * float(np.sqrt(hull.area)))
    share = float(np.mean([not grown.contains(Point(place)) for place in ground]))
    if share > _MOST_BEYOND:
        yield Remark(
            code="extrapolated",
            severity="warning",
            text=f"{100 * share:.0f} % of the ground in the picture, within {marks.range_m:g} m, lies beyond the points: places"
            " there are guessed. Add points farther out, or lower range_m.",
        )


def _lens(made: Calibration, marks: Marks) -> Iterator[Remark]:
    if marks.lines_px and (made.focal_px is None or marks.lens is not None):
        why = "A homography has no lens" if made.focal_px is None else "The lens is given"
        yield Remark(code="lines_unused", severity="note", text=f"{why}, so the lines were not used.")
    if made.focal_px is None:
        return
    focal, sigma = made.focal_px
    if sigma > _FOCAL_OPEN * focal:
        yield Remark(
            code="focal_open",
            severity="warning",
            text=f"The focal length is not determined: {focal:.0f} ± {sigma:.0f} px. Places on the ground are as good as told"
            " above, but heights are not. Add near and far points, or give the lens.",
        )
    if marks.lens is None and not marks.lines_px and len(marks.pairs) < _LENS_PAIRS:
        yield Remark(
            code="lens_assumed",
            severity="note",
            text=f"{len(marks.pairs)} points say little of how the lens bends, so a common lens is assumed. Mark two or three"
            " long straight lines near the picture's edges.",
        )


def _spread(points: Floats) -> float:
    strengths = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return float(strengths[1] / strengths[0]) if strengths[0] > 0 else 0.0
