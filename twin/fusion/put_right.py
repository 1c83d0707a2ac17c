"""Places that a camera measured, put right by what was told of its bias."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from twin.events.ids import CameraId, Micros
from twin.fusion.camera_bias import NO_ERRORS, CameraBias
from twin.fusion.place import Look
from twin.fusion.state import Calibrations, FusionState
from twin.spatial.camera import GroundCamera
from twin.spatial.pose_error import Errors, moved_by


def put_right_by(state: FusionState, camera: CameraId, at: Micros) -> CameraBias | None:
    """What a camera's measured places are put right by at a time; None: by nothing."""
    bias = state.biases.get(camera)
    if bias is None or not bias.told or bias.since != calibrated_at(state.calibrations.get(camera, ()), at):
        return None
    return bias


def calibrated_at(calibrations: Calibrations, at: Micros) -> Micros | None:
    """When the geometry that a camera has at a time was calibrated; None: as the site has it."""
    return next((since for since, _ in reversed(calibrations) if since <= at), None)


def anew(
    looks: Mapping[CameraId, Look], name: CameraId, camera: GroundCamera, before: Errors, after: Errors
) -> dict[CameraId, Look]:
    """A vehicle's looks, one camera's of which were put right by some errors, and now are by others."""
    x, y = shifted((looks[name].x, looks[name].y), camera, before, after)
    return {**looks, name: replace(looks[name], x=x, y=y)}


def shifted(place_m: tuple[float, float], camera: GroundCamera, before: Errors, after: Errors) -> tuple[float, float]:
    """A place that was put right by some errors of its camera, put right by others."""
    x, y = place_m
    (east, north), (to_east, to_north) = (moved_by(camera, one or NO_ERRORS, x, y) for one in (before, after))
    return x + east - to_east, y + north - to_north
