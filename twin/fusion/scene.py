"""What stands still while the fusion runs: the map, the cameras' geometry, the portals. Made once a site."""

from __future__ import annotations

import math
from collections.abc import Mapping

from site_models.schema import Camera, LevelId, Portal, Site, StallId
from twin.events.ids import SECOND, CameraId, Micros
from twin.events.observations import CameraCalibrated
from twin.fusion.columns import TrackColumns
from twin.fusion.parameters import FusionParameters
from twin.fusion.placing import Placing
from twin.fusion.portals import side_m
from twin.fusion.stall_views import StallPlace, StallView, views
from twin.fusion.state import Calibrations
from twin.spatial.camera import GroundCamera
from twin.spatial.lanes import Lanes
from twin.spatial.zones import Area, SiteMap, centre_of, heading

_EDGE_M = 8.0
_OUTSIDE_M = 20.0


class Scene:
    """A site, ready to be looked things up in."""

    def __init__(self, site: Site, parameters: FusionParameters, placing: Placing | None = None) -> None:
        """``placing`` is another way to place boxes than that of the twin."""
        self.site = site
        self.parameters = parameters
        self.map = SiteMap(site)
        self.lanes = Lanes(site.lanes)
        self.portals: dict[LevelId, tuple[Portal, ...]] = {
            level.id: tuple(portal for portal in site.portals if portal.level == level.id) for level in site.levels
        }
        self.has_boundary = any(portal.role == "boundary" for portal in site.portals)
        self.stalls = tuple(
            StallPlace(stall.id, stall.level, centre_of(stall.ring_m), Area(stall.ring_m).box_m, heading(stall))
            for stall in site.stalls
        )
        self.centre_m: dict[StallId, tuple[float, float]] = {stall.id: stall.centre_m for stall in self.stalls}
        self._elevation = {level.id: level.elevation_m for level in site.levels}
        self._configured: dict[CameraId, Camera] = {camera.id: camera for camera in site.cameras}
        self._as_configured = {
            name: GroundCamera(one.geometry, one.frame_px, self._elevation[one.level], one.sigma_m, one.range_m)
            for name, one in self._configured.items()
        }
        self.placing = placing or Placing()
        self._calibrated: dict[bytes, GroundCamera] = {}
        self._stall_views: dict[tuple[int, LevelId, tuple[int, int]], Mapping[StallId, StallView]] = {}
        self.columns: dict[bool, TrackColumns] = {}
        """Those of the steps that were finished last, of the past that is fused again and of the present, for the next."""

    def is_edge(self, level: LevelId, x_m: float, y_m: float) -> bool:
        """Whether vehicles may come up here from where nobody looks: near a portal that is not only counted."""
        for portal in self.portals.get(level, ()):
            if portal.role != "count" and _from_portal_m(portal, x_m, y_m) <= _EDGE_M:
                return True
        return False

    def is_entrance(self, level: LevelId, x_m: float, y_m: float) -> bool:
        """Whether a place is near a boundary portal, of either side, that is not for the way out alone: who is first seen there
        may just have come in."""
        return any(
            one.role == "boundary" and one.direction != "out" and _from_portal_m(one, x_m, y_m) <= _EDGE_M
            for one in self.portals.get(level, ())
        )

    def way_m(self, level: LevelId, from_m: tuple[float, float], to_level: LevelId, to_m: tuple[float, float]) -> float | None:
        """How far it is at least from one place to another, over a ramp where the levels differ; None where none joins them."""
        if level == to_level:
            return _apart(from_m, to_m)
        ways = [
            _apart(from_m, _middle(out)) + _apart(_middle(out), _middle(into)) + _apart(_middle(into), to_m)
            for out in self.portals.get(level, ())
            for into in self.portals.get(to_level, ())
            if out.to_level == to_level and into.to_level == level
        ]
        return min(ways, default=None)

    def is_outside(self, level: LevelId, x_m: float, y_m: float) -> bool:
        """Whether a place is before a gate: straight off a boundary portal's outer side, and near it."""
        return bool(self._gates_of(level, x_m, y_m))

    def may_come_in(self, level: LevelId, x_m: float, y_m: float) -> bool:
        """Whether who begins here may be on the way in: before a gate that is not for the way out alone."""
        return any(portal.direction != "out" for portal in self._gates_of(level, x_m, y_m))

    def reach_m(self, unseen_us: Micros) -> float:
        """How far from where it was lost a vehicle may come up again after a time."""
        return self.parameters.reach_slack_m + self.parameters.reach_mps * max(unseen_us, 0) / SECOND

    def stall_views(self, camera: GroundCamera, level: LevelId, frame_px: tuple[int, int]) -> Mapping[StallId, StallView]:
        """Stalls in a camera's view, and how a car in each would appear. The camera is one of this scene's."""
        key = (id(camera), level, frame_px)
        if key not in self._stall_views:
            places = [stall for stall in self.stalls if stall.level == level]
            obstacles = [one for one in self.site.obstacles if one.level == level]
            self._stall_views[key] = views(camera, places, frame_px, obstacles)
        return self._stall_views[key]

    def camera(self, name: CameraId, at: Micros, calibrations: Calibrations) -> tuple[GroundCamera, LevelId] | None:
        """A camera's geometry at a time and its level; None for a camera that the site does not have."""
        for since, calibration in reversed(calibrations):
            if since <= at:
                return self._of(calibration), calibration.level
        configured = self._configured.get(name)
        return None if configured is None else (self._as_configured[name], configured.level)

    def _gates_of(self, level: LevelId, x_m: float, y_m: float) -> list[Portal]:
        """Boundary portals that a place is before, on their outer side."""
        found = list[Portal]()
        for portal in self.portals.get(level, ()):
            away, along, _ = side_m(portal, x_m, y_m)
            if portal.role == "boundary" and -_OUTSIDE_M <= away < 0 and -0.5 <= along <= 1.5:
                found.append(portal)
        return found

    def _of(self, calibration: CameraCalibrated) -> GroundCamera:
        key = repr(calibration).encode()
        if key not in self._calibrated:
            elevation = self._elevation.get(calibration.level, 0.0)
            self._calibrated[key] = GroundCamera(
                calibration.geometry, calibration.frame_px, elevation, calibration.sigma_m, calibration.range_m
            )
        return self._calibrated[key]


def _from_portal_m(portal: Portal, x_m: float, y_m: float) -> float:
    """How far a place is off a portal's line, and beyond its ends."""
    away, along, length = side_m(portal, x_m, y_m)
    return abs(away) + max(0.0, -along, along - 1.0) * length


def _middle(portal: Portal) -> tuple[float, float]:
    (ax, ay), (bx, by) = portal.line_m
    return (ax + bx) / 2.0, (ay + by) / 2.0


def _apart(one_m: tuple[float, float], other_m: tuple[float, float]) -> float:
    dx, dy = other_m[0] - one_m[0], other_m[1] - one_m[1]
    return math.sqrt(dx * dx + dy * dy)
