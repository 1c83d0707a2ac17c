"""Which frames may show a vehicle crossing a portal: what an edge with a full spool gives up last."""

from __future__ import annotations

import numpy as np

from site_models.schema import Site
from twin.events.observations import FrameObserved, Observation
from twin.spatial.camera import GroundCamera
from twin.spatial.zones import SiteMap


class Crossings:
    """Tells frames with a moving vehicle at a portal from others."""

    def __init__(self, site: Site) -> None:
        level_by_id = {level.id: level for level in site.levels}
        self._map = SiteMap(site)
        self._cameras = {
            camera.id: (camera.level, GroundCamera.of(camera, level_by_id[camera.level])) for camera in site.cameras
        }

    def __call__(self, payload: Observation) -> bool:
        """Whether the bottom centre of a box of the frame lies at a portal; boxes reported as unchanged stand still."""
        if not isinstance(payload, FrameObserved) or not payload.boxes or payload.camera not in self._cameras:
            return False
        level, camera = self._cameras[payload.camera]
        boxes = np.array([box.box_px for box in payload.boxes])
        bottoms = np.stack(((boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]), axis=1)
        ground = camera.to_ground(bottoms, np.ones_like(bottoms))
        points = zip(ground.points_m.tolist(), ground.is_valid.tolist(), strict=True)
        return any(is_valid and self._map.is_at_portal(level, x, y) for (x, y), is_valid in points)
