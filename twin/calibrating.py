"""A camera of a site calibrated from a file of marks: computed, told in words, and written into ``cameras.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from site_models.camera_entries import CameraEntry, camera_of
from site_models.camera_tables import with_camera, with_geometry
from site_models.schema import Camera, Level, Pinhole, Site
from twin.errors import BadInput, NotFound
from twin.marks_file import MarksFile
from twin.spatial.calibration import Calibration, Lens, Marks, Model, Solution, calibrate

NEW_RANGE_M = 60.0


class Calibrated(Struct, frozen=True, kw_only=True):
    """What came of a file of marks for a camera; ``camera`` is None where the site does not have it yet."""

    site: Site
    name: str
    camera: Camera | None
    level: Level
    frame_px: tuple[int, int]
    marks: MarksFile
    sigma_px: float
    solution: Solution

    def text(self) -> Iterator[str]:
        """Lines for people: each pair, the figures over all, the remarks."""
        made = self.solution.calibration
        if made is not None:
            yield f"camera '{self.name}': {_kind(made)} from {len(made.pairs)} pairs and {len(self.marks.lines_px)} lines"
            yield f"{'pair':<20} {'pixel':>16} {'ground, m':>18} {'off, px':>8} {'off, m':>7} {'left out, m':>11}"
            yield from self._pairs(made)
            yield from _figures(made)
        for one in self.solution.remarks:
            yield f"{one.severity}: {one.text}"

    def _pairs(self, made: Calibration) -> Iterator[str]:
        for number, (given, fit) in enumerate(zip(self.marks.pairs, made.pairs, strict=True), start=1):
            pixel = f"{given.pixel_px[0]:.1f} {given.pixel_px[1]:.1f}"
            ground = f"{given.ground_m[0]:.2f} {given.ground_m[1]:.2f}"
            name = f"{number} {given.name[:16]}".rstrip()
            off = f"{fit.off_px:>8.2f} {_metres(fit.off_m):>7} {_metres(fit.left_out_m):>11}"
            yield f"{name:<20} {pixel:>16} {ground:>18} {off}"

    def write(self, path: Path) -> None:
        """Put the geometry into a ``cameras.toml``; a camera that it does not have is added.

        Raises:
            BadInput: the file would not be one of cameras any more; it stays as it is.
        """
        made = self.solution.calibration
        assert made is not None
        text = path.read_text(encoding="utf-8")
        if self.camera is None:
            written = with_camera(text, self.name, self.level.id, self.frame_px, made.geometry, made.sigma_m)
        else:
            written = with_geometry(text, self.name, made.geometry, made.sigma_m)
        _check(written, path)
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(written, encoding="utf-8")
        beside.replace(path)

    def body(self, *, lens: str, model: str) -> dict[str, Any]:
        """The marks as the API takes them."""
        pairs = [{"pixel_px": one.pixel_px, "ground_m": one.ground_m} for one in self.marks.pairs]
        told = {"pairs": pairs, "lines_px": self.marks.lines_px, "level": self.level.id}
        return {**told, "lens": lens, "model": model, "sigma_px": self.sigma_px}


def solve(
    site: Site, name: str, marks: MarksFile, *, keeps_lens: bool, model: str, level: str | None, sigma_px: float
) -> Calibrated:
    """Calibrate a camera of a site, or one that it is to have: then the marks must say ``frame_px``.

    Raises:
        BadInput: the marks are of another frame size, or a lens is to be kept that the site does not know.
        NotFound: there is no such level or camera.
    """
    camera = next((one for one in site.cameras if one.id == name), None)
    if camera is None and marks.frame_px is None:
        there = ", ".join(one.id for one in site.cameras) or "none"
        raise NotFound(
            f"site '{site.name}' has no camera '{name}'; there are {there}. To add one, put frame_px into a .json of marks"
        )
    frame_px = cast("tuple[int, int]", camera.frame_px if camera is not None else marks.frame_px)
    if marks.frame_px not in (None, frame_px):
        raise BadInput(
            f"the marks are of a picture of {marks.frame_px}, but camera '{name}' has {frame_px}; mark them in its own"
        )
    found = _level(site, level or (camera.level if camera is not None else site.levels[0].id))
    given = Marks(
        frame_px=frame_px,
        pairs=marks.given(),
        lines_px=marks.lines_px,
        elevation_m=found.elevation_m,
        range_m=camera.range_m if camera is not None else NEW_RANGE_M,
        lens=_kept(camera, name) if keeps_lens else None,
        sigma_px=sigma_px,
    )
    solution = calibrate(given, cast(Model, model))
    return Calibrated(
        site=site,
        name=name,
        camera=camera,
        level=found,
        frame_px=frame_px,
        marks=marks,
        sigma_px=sigma_px,
        solution=solution,
    )


def _level(site: Site, name: str) -> Level:
    found = next((one for one in site.levels if one.id == name), None)
    if found is None:
        raise NotFound(f"site '{site.name}' has no level '{name}'; there are {', '.join(one.id for one in site.levels)}")
    return found


def _check(written: str, path: Path) -> None:
    try:
        for entry in tomllib.loads(written)["cameras"]:
            camera_of(msgspec.convert(entry, CameraEntry))
    except ValueError as wrong:
        raise BadInput(f"{path} was not written: {wrong}; check the name of the camera, and the marks") from None


def _kept(camera: Camera | None, name: str) -> Lens:
    if camera is None or not isinstance(camera.geometry, Pinhole):
        raise BadInput(f"the site knows no lens of camera '{name}', so there is none to keep; use --lens find")
    return Lens(k=camera.geometry.k, distortion=camera.geometry.distortion)


def _kind(made: Calibration) -> str:
    return "lens and pose" if isinstance(made.geometry, Pinhole) else "a homography of the ground"


def _figures(made: Calibration) -> Iterator[str]:
    yield f"root mean square: {made.rms_px:.2f} px, {_metres(made.rms_m)} m; of pairs left out: {_metres(made.left_out_m)} m"
    if made.ground is not None:
        ground = made.ground
        yield (
            f"the ground is known to {ground.median_m:.2f} m (median over the picture), {ground.p95_m:.2f} m (95 %), "
            f"{ground.worst_m:.2f} m (worst); sigma_m {made.sigma_m}"
        )
    if isinstance(made.geometry, Pinhole) and made.focal_px is not None:
        x, y, z = made.geometry.position_m
        k1, k2 = made.geometry.distortion[:2]
        focal, sigma = made.focal_px
        yield f"position {x:.2f} {y:.2f} {z:.2f} m, focal length {focal:.1f} ± {sigma:.1f} px, k1 {k1:.4f}, k2 {k2:.4f}"


def _metres(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
