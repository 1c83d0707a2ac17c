"""A site to begin from: one level, cameras that wait for their calibration, and nothing drawn yet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from site_models.camera_entries import look_at
from site_models.dump import dump_site
from site_models.load import check_site
from site_models.schema import Camera, CameraId, Datum, Level, LevelId, Pinhole, Point, Ring, Site, SiteId
from twin.errors import BadInput, SiteFault

LEVEL = LevelId("ground")
GUESSED_SIGMA_M = 5.0
"""A calibration's error that says: a guess. What such a camera sees moves nothing that another one knows."""
_HEIGHT_M, _AHEAD_M, _FOCAL_SHARE = 4.0, 12.0, 0.8  # a camera at a gate or under an eave, its focal length in frame widths
_SIZE = re.compile(r"([0-9]{2,5})x([0-9]{2,5})")


def begin_site(
    name: str,
    place: tuple[float, float],
    cameras: Sequence[tuple[str, tuple[int, int]]],
    *,
    bearing_deg: float = 0.0,
    size_m: float = 60.0,
) -> Site:
    """A valid site without zones, lanes and portals; its cameras stand along the south side and look north, which is a guess.

    Args:
        place: latitude and longitude of the frame's origin, the south-west corner, degrees.
        cameras: id, and width and height of the frames, pixels.
        bearing_deg: compass bearing of the frame's y axis.
        size_m: side of the square ground.
    """
    apart_m = size_m / (len(cameras) + 1)
    guessed = tuple(_guessed(camera, px, (apart_m * (n + 1), 0.0)) for n, (camera, px) in enumerate(cameras))
    ring: Ring = ((0.0, 0.0), (size_m, 0.0), (size_m, size_m), (0.0, size_m))
    return Site(
        name=SiteId(name),
        datum=Datum(latitude=place[0], longitude=place[1], bearing_deg=bearing_deg),
        levels=(Level(id=LEVEL, ring_m=ring),),
        cameras=guessed,
    )


def begin_in(folder: Path, at: str, cameras: Sequence[str], *, bearing_deg: float, size_m: float) -> Site:
    """The same in a folder that is not there yet, or is empty; its name is the site's.

    Args:
        at: see ``place_of``.
        cameras: see ``camera_of``.

    Raises:
        BadInput: something is in the folder, or an argument is not written as it should be.
        SiteFault: a name that a site or a camera cannot have, or one that is used twice.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"'{folder}' is there already; name a new folder, or change its files")
    name = folder.resolve().name
    site = begin_site(name, place_of(at), [camera_of(one) for one in cameras], bearing_deg=bearing_deg, size_m=size_m)
    with TemporaryDirectory() as tried:
        dump_site(site, Path(tried))
        read, faults = check_site(Path(tried))
    if faults or read is None:
        raise SiteFault(name, faults)
    dump_site(read, folder)
    return read


def camera_of(text: str) -> tuple[str, tuple[int, int]]:
    """A camera's id and frame size.

    >>> camera_of("yard=1280x720")
    ('yard', (1280, 720))

    Raises:
        BadInput: it is not written so.
    """
    name, _, size = text.partition("=")
    found = _SIZE.fullmatch(size)
    if not name or found is None:
        raise BadInput(f"camera '{text}' is not NAME=WIDTHxHEIGHT, such as yard=1280x720: the size of its frames in pixels")
    return name, (int(found[1]), int(found[2]))


def place_of(text: str) -> tuple[float, float]:
    """Latitude and longitude, degrees.

    >>> place_of("52.09,5.12")
    (52.09, 5.12)

    Raises:
        BadInput: it is not written so.
    """
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"place '{text}' is not LATITUDE,LONGITUDE in degrees, such as 52.09,5.12") from None
    if not (abs(latitude) <= 85.0 and abs(longitude) <= 180.0):
        raise BadInput(f"place '{text}' is not on the map: latitude is within 85 degrees, longitude within 180")
    return latitude, longitude


def _guessed(name: str, frame_px: tuple[int, int], at_m: Point) -> Camera:
    width, height = frame_px
    focal = _FOCAL_SHARE * width
    position = (*at_m, _HEIGHT_M)
    geometry = Pinhole(
        k=(focal, focal, width / 2, height / 2),
        position_m=position,
        rotation=look_at(position, (at_m[0], at_m[1] + _AHEAD_M, 0.0)),
    )
    return Camera(
        id=CameraId(name),
        level=LEVEL,
        frame_px=frame_px,
        geometry=geometry,
        fps=10.0,
        clock="stream",
        sigma_m=GUESSED_SIGMA_M,
        range_m=40.0,
    )
