"""How far one drives at least from what one camera sees to what another sees."""

from __future__ import annotations

from math import hypot, inf

from msgspec import Struct
from shapely import Point as ShapelyPoint
from shapely import Polygon

from site_models.schema import CameraId, LevelId, Point, Site
from twin.graph.routes import Routes
from twin.spatial.camera import GroundCamera


class View(Struct, frozen=True, kw_only=True):
    """What a camera sees of the ground, and a disc around it: a sighting lies somewhere in it."""

    level: LevelId
    centre_m: Point
    radius_m: float
    area: Polygon


class CameraDistances:
    """Driving distances between the views of a site's cameras, as configured; each pair is worked out once."""

    def __init__(self, site: Site) -> None:
        levels = {level.id: level for level in site.levels}
        views = ((camera.id, camera.level, GroundCamera.of(camera, levels[camera.level])) for camera in site.cameras)
        self._views = {name: _view(level, ground.footprint_m().tolist()) for name, level, ground in views}
        self._routes = Routes(site)
        self._known: dict[tuple[CameraId, CameraId], float] = {}

    def metres(self, start: CameraId, end: CameraId) -> float:
        """The shortest drive between two views' edges, 0 within one view; infinity where there is no way.

        A camera that the site does not have, or that sees no ground, is taken to be anywhere: 0.
        """
        if (start, end) not in self._known:
            self._known[start, end] = self._measured(self._views.get(start), self._views.get(end))
        return self._known[start, end]

    def to_view_m(self, camera: CameraId, level: LevelId, point_m: Point) -> float | None:
        """From a place to what a camera sees, as the crow flies: 0 inside, infinity on another level.

        None where nothing is known of what it sees.
        """
        view = self._views.get(camera)
        if view is None:
            return None
        return inf if level != view.level else float(view.area.distance(ShapelyPoint(point_m)))

    def _measured(self, start: View | None, end: View | None) -> float:
        if start is None or end is None:
            return 0.0
        reach_m = start.radius_m + end.radius_m
        if start.level == end.level and hypot(*_between(start.centre_m, end.centre_m)) <= reach_m:
            return 0.0  # the views touch: whichever way the lanes run, no drive is needed to be in both
        return max(0.0, self._routes.driving_m((start.level, start.centre_m), (end.level, end.centre_m)) - reach_m)


def _view(level: LevelId, ring_m: list[list[float]]) -> View | None:
    if not ring_m:
        return None
    xs, ys = zip(*ring_m, strict=True)
    centre_m = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    radius_m = max(hypot(x - centre_m[0], y - centre_m[1]) for x, y in ring_m)
    return View(level=level, centre_m=centre_m, radius_m=radius_m, area=Polygon(ring_m))


def _between(one: Point, other: Point) -> Point:
    return other[0] - one[0], other[1] - one[1]
