"""A site with its cameras as they are calibrated: what they look at is counted by it, as what they see is placed."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import msgspec

from site_models.schema import Camera, Site
from twin.events.ids import CameraId, Micros
from twin.projections.camera_calibrations import Since


def calibrated(site: Site, known: Mapping[CameraId, Sequence[Since]], at: Micros) -> Site:
    """The site with each camera's calibration that holds at a time; the same site where none does.

    Args:
        known: each camera's calibrations, by the times from which on they hold.
    """
    levels = {level.id for level in site.levels}
    cameras = tuple(_standing(camera, known.get(camera.id, ()), at, levels) for camera in site.cameras)
    return site if cameras == site.cameras else msgspec.structs.replace(site, cameras=cameras)


def _standing(camera: Camera, known: Sequence[Since], at: Micros, levels: Container[str]) -> Camera:
    made = next((one for since, one in reversed(known) if since <= at), None)
    if made is None or made.level not in levels:
        return camera
    return msgspec.structs.replace(
        camera,
        level=made.level,
        frame_px=made.frame_px,
        geometry=made.geometry,
        sigma_m=made.sigma_m,
        range_m=made.range_m,
    )
