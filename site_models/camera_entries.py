"""A camera as written in ``cameras.toml``: a lens with a pose, or points of the ground."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from shapely import Polygon

from site_models.frame import FARTHEST_M
from site_models.names import Name
from site_models.schema import Camera, CameraGeometry, CameraId, ClockSource, GroundHomography, LevelId, Pinhole, Point

_Positive = Annotated[float, Meta(gt=0)]
_Pixels = Annotated[int, Meta(ge=16, le=16384)]
_DECIMALS = 9
_METRE_DECIMALS = 4  # 0.1 mm
_DIGITS = 12  # of a homography's entries
_WORST_FIT = 4.0  # a pair this many sigmas off is a wrong pair

_LENS = ("fx", "fy", "cx", "cy", "focal_px", "hfov_deg")

Rotation = tuple[float, float, float, float, float, float, float, float, float]


class CameraEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[cameras]]`` table. A lens is ``fx, fy, cx, cy``, or ``focal_px``, or ``hfov_deg``; a pose is ``position_m``
    with ``rotation`` or ``look_at_m``. Instead of both: ``homography``, or ``pairs`` of pixel and ground."""

    id: Name
    level: str
    width: _Pixels
    height: _Pixels
    fx: _Positive | None = None
    fy: _Positive | None = None
    cx: float | None = None
    cy: float | None = None
    focal_px: _Positive | None = None
    hfov_deg: Annotated[float, Meta(gt=1, lt=170)] | None = None
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    position_m: tuple[float, float, float] | None = None
    rotation: Rotation | None = None
    look_at_m: tuple[float, float, float] | None = None
    homography: Rotation | None = None
    pairs: tuple[tuple[float, float, float, float], ...] | None = None  # pixel x, pixel y, metres x, metres y
    fps: _Positive = 10.0
    clock: ClockSource = "unsynced"
    sigma_m: _Positive = 0.1
    range_m: _Positive = 60.0
    region_px: tuple[Point, ...] = ()


def camera_of(entry: CameraEntry) -> Camera:
    """The camera that an entry describes.

    Raises:
        ValueError: too little, too much, or impossible geometry; says what.
    """
    if entry.region_px:
        _check_region(entry.region_px)
    return Camera(
        id=CameraId(entry.id),
        level=LevelId(entry.level),
        frame_px=(entry.width, entry.height),
        geometry=_geometry(entry),
        sigma_m=entry.sigma_m,
        range_m=entry.range_m,
        fps=entry.fps,
        clock=entry.clock,
        region_px=entry.region_px,
    )


def look_at(position: tuple[float, float, float], target: tuple[float, float, float]) -> Rotation:
    """Row-major rotation, site frame to camera frame, of an upright camera that looks at a point.

    Raises:
        ValueError: the target is at the camera or straight above or below it.
    """
    forward = np.subtract(target, position)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    if np.linalg.norm(right) < 1e-6:
        raise ValueError(f"look_at_m {list(target)} is straight above, below or at position_m; give rotation instead")
    right, forward = right / np.linalg.norm(right), forward / np.linalg.norm(forward)
    rows = np.stack((right, np.cross(forward, right), forward))
    return _rounded(rows, _DECIMALS)


def fit_homography(pairs: tuple[tuple[float, float, float, float], ...]) -> Rotation:
    """The pixel-to-ground homography that fits the pairs best: the normalized direct linear transform.

    Raises:
        ValueError: fewer than four pairs, or all but one on a line.

    Source: Hartley & Zisserman, "Multiple View Geometry" (2004), algorithm 4.2.
    """
    if len(pairs) < 4:
        raise ValueError(f"{len(pairs)} pairs; a homography needs at least 4")
    given = np.array(pairs, dtype=np.float64)
    pixels, to_pixels = _normalized(given[:, :2])
    ground, to_ground = _normalized(given[:, 2:])
    rows = []
    for (u, v), (x, y) in zip(pixels, ground, strict=True):
        rows.append((u, v, 1, 0, 0, 0, -x * u, -x * v, -x))
        rows.append((0, 0, 0, u, v, 1, -y * u, -y * v, -y))
    _, strengths, vectors = np.linalg.svd(np.array(rows))
    if strengths[7] < 1e-6 * strengths[0]:
        raise ValueError("the pairs lie on a line, in the picture or on the ground; spread them over the view")
    matrix = np.linalg.inv(to_ground) @ vectors[-1].reshape(3, 3) @ to_pixels
    weights = given[:, :2] @ matrix[2, :2] + matrix[2, 2]
    if not ((weights > 0).all() or (weights < 0).all()):
        raise ValueError("the pairs lie on both sides of the horizon; check their pixels")
    matrix /= np.abs(matrix).max() * np.sign(weights[0])
    return tuple(float(value) for value in matrix.ravel())  # pyright: ignore[reportReturnType]


def _geometry(entry: CameraEntry) -> CameraGeometry:
    n_given = sum(one is not None for one in (entry.homography, entry.pairs, entry.position_m))
    if n_given != 1:
        raise ValueError(f"{n_given} of position_m, homography and pairs are given; give exactly one")
    if entry.position_m is None:
        return GroundHomography(matrix=_homography(entry))
    x, y, z = (round(value, _METRE_DECIMALS) + 0.0 for value in entry.position_m)
    if math.hypot(x, y) > FARTHEST_M:
        raise ValueError(f"position_m is {math.hypot(x, y) / 1000:.0f} km from the datum; it is metres in the site frame")
    return Pinhole(k=_lens(entry), distortion=entry.distortion, position_m=(x, y, z), rotation=_pose(entry))


def _homography(entry: CameraEntry) -> Rotation:
    lens = [name for name in (*_LENS, "rotation", "look_at_m") if getattr(entry, name) is not None]
    if lens or any(entry.distortion):
        raise ValueError(f"{', '.join(lens or ['distortion'])} would not be used beside a homography; leave it out")
    if entry.homography is not None:
        return _checked(entry.homography, entry)
    matrix = fit_homography(entry.pairs or ())
    _check_fit(matrix, entry)
    return _checked(matrix, entry)


def _lens(entry: CameraEntry) -> tuple[float, float, float, float]:
    cx = entry.width / 2 if entry.cx is None else entry.cx
    cy = entry.height / 2 if entry.cy is None else entry.cy
    if entry.fy is not None and entry.fx is None:
        raise ValueError("fy is given without fx; give both, or only fx for square pixels")
    if (entry.fx is not None) + (entry.focal_px is not None) + (entry.hfov_deg is not None) != 1:
        raise ValueError("the focal length is given several times or not at all; give one of fx (with fy), focal_px, hfov_deg")
    if entry.fx is not None:
        return entry.fx, entry.fy or entry.fx, cx, cy
    if entry.focal_px is not None:
        return entry.focal_px, entry.focal_px, cx, cy
    assert entry.hfov_deg is not None
    focal = round(entry.width / 2 / math.tan(math.radians(entry.hfov_deg) / 2), _DECIMALS)
    return focal, focal, cx, cy


def _pose(entry: CameraEntry) -> Rotation:
    if (entry.rotation is None) == (entry.look_at_m is None):
        raise ValueError("give either rotation or look_at_m beside position_m")
    assert entry.position_m is not None
    if entry.look_at_m is not None:
        return look_at(entry.position_m, entry.look_at_m)
    assert entry.rotation is not None
    r = np.array(entry.rotation).reshape(3, 3)
    if np.abs(r @ r.T - np.eye(3)).max() > 1e-3 or np.linalg.det(r) < 0:
        raise ValueError("rotation is not a rotation matrix (rows must be orthogonal unit vectors, right-handed)")
    return _rounded(r, _DECIMALS)


def _checked(matrix: Rotation, entry: CameraEntry) -> Rotation:
    """A homography whose weight is 1 at the bottom centre of the frame, where the nearest ground is."""
    values = np.array(matrix)
    weight = values[6] * entry.width / 2 + values[7] * entry.height + values[8]
    if abs(weight) < 1e-9 * np.abs(values[6:] * (entry.width, entry.height, 1.0)).sum() or weight == 0:
        raise ValueError("the horizon runs through the bottom of the frame, so no ground is seen; check the homography")
    if abs(weight - 1.0) > 1e-6:  # what was scaled once stays as it is when it is written and read again
        with np.errstate(over="ignore"):  # what overflows is refused below
            values = values / weight
    if not (np.abs(values) < 1e12).all() or abs(np.linalg.det(values.reshape(3, 3))) < 1e-13:
        raise ValueError("the homography is singular; check it or the pairs that it was made from")
    east, north, _ = values.reshape(3, 3) @ (entry.width / 2, entry.height, 1.0)
    if math.hypot(east, north) > FARTHEST_M:
        raise ValueError(f"the bottom of the picture shows ground {math.hypot(east, north) / 1000:.0f} km from the datum")
    return tuple(float(f"{value:.{_DIGITS}g}") + 0.0 for value in values)  # pyright: ignore[reportReturnType]


def _check_region(corners: tuple[Point, ...]) -> None:
    if len(corners) < 3:
        raise ValueError(f"region_px has {len(corners)} corners; a polygon has at least 3")
    outline = Polygon(corners)
    if not outline.is_valid or outline.area < 1.0:
        raise ValueError("region_px crosses itself or has no area; list its corners in order around it")


def _rounded(matrix: np.ndarray, decimals: int) -> Rotation:
    return tuple(round(float(value), decimals) + 0.0 for value in matrix.ravel())  # pyright: ignore[reportReturnType]


def _check_fit(matrix: Rotation, entry: CameraEntry) -> None:
    h = np.array(matrix).reshape(3, 3)
    for number, (u, v, x, y) in enumerate(entry.pairs or (), start=1):
        east, north, weight = h @ (u, v, 1.0)
        off = math.hypot(east / weight - x, north / weight - y)
        if off > _WORST_FIT * entry.sigma_m:
            raise ValueError(
                f"pair {number} ({u}, {v}) lands {off:.2f} m from ({x}, {y}),"
                f" over {_WORST_FIT:g} times sigma_m {entry.sigma_m}; correct the pair, or state a larger sigma_m"
            )


def _normalized(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre = points.mean(axis=0)
    spread = np.sqrt(((points - centre) ** 2).sum(axis=1)).mean()
    scale = math.sqrt(2) / spread if spread > 0 else 1.0
    return (points - centre) * scale, np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])
