"""A small sound site as plain files, and ways to break it."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from site_models.frame import SiteFrame
from site_models.load import check_site
from site_models.schema import Datum

SITE_TOML = """schema = "twin.site/1"
name = "yard"
[datum]
latitude = 52.0
longitude = 5.0
bearing_deg = 30.0
[[levels]]
id = "ground"
"""
CAMERAS_TOML = """schema = "twin.cameras/1"
[[cameras]]
id = "gate"
level = "ground"
width = 960
height = 540
hfov_deg = 80.0
position_m = [0.0, -10.0, 6.0]
look_at_m = [0.0, 5.0, 0.0]
"""
FRAME = SiteFrame(Datum(latitude=52.0, longitude=5.0, bearing_deg=30.0))


class SiteFiles:
    """The three files of a site; change them, then ``faults`` tells what the loader says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.restore()

    def restore(self) -> None:
        """Back to the sound site."""
        self.site_toml, self.cameras_toml = SITE_TOML, CAMERAS_TOML
        self.features: list[dict[str, Any]] = [
            polygon("zone", "row", box(3, 0, 8, 10), zone_kind="parking"),
            polygon("zone", "way", box(-3, -5, 3, 20), zone_kind="lane"),
            polygon("stall", "S1", box(3, 0, 8, 2.5), zone="row", heading_deg=0.0),
            polygon("stall", "S2", box(3, 2.5, 8, 5), zone="row"),
            line("lane", "up", (0, -20), (0, 20), width_m=6.0),
            line("portal", "in", (-3, -6), (3, -6), role="boundary", direction="in"),
            line("portal", "out", (3, 18), (-3, 18), role="boundary", direction="out"),
            line("wall", "fence", (9, 0), (9, 10), height_m=2.0),
            polygon("pillar", "post", box(8.2, 5, 8.6, 5.4), height_m=3.0),
            feature("landmark", "sign", "Point", wgs84((4, -6)), landmark_kind="sign", label="Entrance"),
        ]

    def of(self, name: str) -> dict[str, Any]:
        """The feature with this id, to change it."""
        return next(one for one in self.features if one["properties"]["id"] == name)

    def move(self, name: str, *points: tuple[float, float]) -> None:
        """Draw a line or a polygon anew, in metres of the site frame."""
        geometry, drawn = self.of(name)["geometry"], [wgs84(point) for point in points]
        geometry["coordinates"] = [[*drawn, drawn[0]]] if geometry["type"] == "Polygon" else drawn

    def write(self) -> Path:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "site.toml").write_text(self.site_toml, encoding="utf-8")
        (self.folder / "cameras.toml").write_text(self.cameras_toml, encoding="utf-8")
        collection = {"type": "FeatureCollection", "features": self.features}
        (self.folder / "map.geojson").write_text(json.dumps(collection), encoding="utf-8")
        return self.folder

    def faults(self) -> tuple[str, ...]:
        return check_site(self.write())[1]


_to_wgs84 = functools.cache(FRAME.to_wgs84)  # the same corners are drawn in every test


def wgs84(point: tuple[float, float]) -> list[float]:
    return list(_to_wgs84(point))


def box(x1: float, y1: float, x2: float, y2: float) -> list[tuple[float, float]]:
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def feature(kind: str, name: str, shape: str, coordinates: Any, **properties: Any) -> dict[str, Any]:
    given = {"kind": kind, "id": name, "level": "ground", **properties}
    return {"type": "Feature", "properties": given, "geometry": {"type": shape, "coordinates": coordinates}}


def polygon(kind: str, name: str, ring: list[tuple[float, float]], **properties: Any) -> dict[str, Any]:
    drawn = [wgs84(point) for point in ring]
    return feature(kind, name, "Polygon", [[*drawn, drawn[0]]], **properties)


def line(kind: str, name: str, *points: tuple[float, float], **properties: Any) -> dict[str, Any]:
    return feature(kind, name, "LineString", [wgs84(point) for point in points], **properties)


@pytest.fixture
def files(tmp_path: Path) -> SiteFiles:
    return SiteFiles(tmp_path / "yard")


@pytest.fixture
def copy_of() -> Callable[[SiteFiles, str, str], dict[str, Any]]:
    """Another feature like one of the site, with another id; already added."""

    def copied(files: SiteFiles, name: str, new: str) -> dict[str, Any]:
        other = copy.deepcopy(files.of(name))
        other["properties"]["id"] = new
        files.features.append(other)
        return other

    return copied
