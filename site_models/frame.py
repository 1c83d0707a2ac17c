"""The site frame and WGS 84: metres east and north of the datum, turned by its bearing."""

from __future__ import annotations

import math

from pymap3d import enu2geodetic, geodetic2enu  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from site_models.schema import Datum, Point

FARTHEST_M = 20_000.0
"""A plane through the datum leaves the ellipsoid by 30 m at this distance; no site is so large."""
_DECIMALS = 4  # 0.1 mm
_DEGREE_DECIMALS = 10  # 0.01 mm on the ground


class SiteFrame:
    """Turns longitude and latitude into metres, and back."""

    def __init__(self, datum: Datum) -> None:
        self._datum = datum
        turn = math.radians(datum.bearing_deg)
        self._cos, self._sin = math.cos(turn), math.sin(turn)

    def to_m(self, longitude: float, latitude: float) -> Point:
        """Site-frame metres, rounded to 0.1 mm; GeoJSON's order of coordinates."""
        east, north, _ = geodetic2enu(latitude, longitude, 0.0, self._datum.latitude, self._datum.longitude, 0.0)
        x, y = east * self._cos - north * self._sin, east * self._sin + north * self._cos
        return round(float(x), _DECIMALS) + 0.0, round(float(y), _DECIMALS) + 0.0

    def to_wgs84(self, point: Point) -> tuple[float, float]:
        """(longitude, latitude) of a site-frame point."""
        x, y = point
        east, north = x * self._cos + y * self._sin, -x * self._sin + y * self._cos
        latitude, longitude, _ = enu2geodetic(east, north, 0.0, self._datum.latitude, self._datum.longitude, 0.0)
        # The tangent plane is above the ellipsoid away from the datum; one correction brings the round trip under 0.1 mm.
        back = geodetic2enu(latitude, longitude, 0.0, self._datum.latitude, self._datum.longitude, 0.0)
        fixed = enu2geodetic(2 * east - back[0], 2 * north - back[1], 0.0, self._datum.latitude, self._datum.longitude, 0.0)
        return round(float(fixed[1]), _DEGREE_DECIMALS), round(float(fixed[0]), _DEGREE_DECIMALS)
