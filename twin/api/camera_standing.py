"""Where a camera stood at its latest picture, and the site's plan as it appears in its pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from site_models.schema import Camera, Site
from twin.api.calibrations import camera_of
from twin.api.endpoint import Endpoint
from twin.api.exchange import services_of, site_of
from twin.api.plan_in_picture import DrawnLine, plan_in_picture
from twin.api.services import Services
from twin.events.codec import canonical_json, rfc3339
from twin.events.ids import CameraId, Micros, SiteId
from twin.projections.camera_calibrations import Since
from twin.spatial.camera import GroundCamera


class Standing(Struct, frozen=True, kw_only=True):
    """A camera over its ground.

    Attributes:
        since: from when on it stands so; None: by the site model.
        author, reason: of the person who calibrated it, where one did.
    """

    camera: GroundCamera
    level: str
    since: Micros | None = None
    author: str | None = None
    reason: str | None = None

    @property
    def calibrated_at(self) -> str | None:
        """``since`` as JSON has it."""
        return None if self.since is None else rfc3339(self.since)


class PlanTold(Struct, frozen=True, kw_only=True):
    """Zones, stalls, lanes and portals of a camera's level, where they appear in its pictures.

    Attributes:
        frame_px: the frame in whose pixels the lines are.
        calibrated_at: since when the calibration holds that they are projected by; None: it is the site model's.
        author, reason: of whoever made it.
        lines: what the camera sees within its range.
    """

    camera: str
    level: str
    frame_px: tuple[int, int]
    calibrated_at: str | None
    author: str | None
    reason: str | None
    lines: list[DrawnLine]


KeptPlans = dict[tuple[SiteId, CameraId], tuple[Standing, bytes]]
"""One a camera: the last one that was asked for."""


def standing_of(services: Services, site: Site, camera: Camera, known: Sequence[Since]) -> Standing:
    """As the fold places what the camera sees: by the calibration that holds at its latest picture, else by the newest one.

    Args:
        known: the camera's calibrations, by the times from which on they hold.
    """
    picture = services.pictures.get((site.name, camera.id))
    levels = {level.id: level for level in site.levels}
    for since, made in reversed(known):
        if picture is None or since <= picture.exposed_at:
            elevation_m = levels[made.level].elevation_m if made.level in levels else 0.0
            seeing = GroundCamera(made.geometry, made.frame_px, elevation_m, made.sigma_m, made.range_m)
            return Standing(camera=seeing, level=made.level, since=since, author=made.author, reason=made.reason)
    return Standing(camera=GroundCamera.of(camera, levels[camera.level]), level=camera.level)


async def read_plan(request: Request) -> Response:
    """The plan in a camera's picture."""
    services, site, camera = services_of(request), site_of(request), camera_of(request)
    standing = standing_of(services, site, camera, await services.calibrations_of(site.name).of(camera.id))
    plans: KeptPlans = request.app.state.plans
    kept = plans.get((site.name, camera.id))
    if kept is None or not _is_same(kept[0], standing):
        async with services.calibrating.turn("plans"):
            made = await asyncio.to_thread(_drawn, site, camera, standing)
        kept = plans[site.name, camera.id] = standing, made
    return Response(kept[1], media_type="application/json")


def _is_same(one: Standing, other: Standing) -> bool:
    """Whether the two make the same plan, in the same words."""
    return _told_by(one) == _told_by(other)


def _told_by(one: Standing) -> tuple[Any, ...]:
    seeing = one.camera
    place = (seeing.geometry, seeing.frame_px, seeing.elevation_m, seeing.range_m)
    return one.since, one.level, one.author, one.reason, place


def _drawn(site: Site, camera: Camera, standing: Standing) -> bytes:
    told = PlanTold(
        camera=camera.id,
        level=standing.level,
        frame_px=standing.camera.frame_px,
        calibrated_at=standing.calibrated_at,
        author=standing.author,
        reason=standing.reason,
        lines=plan_in_picture(site, standing.level, standing.camera),
    )
    content: dict[str, Any] = msgspec.to_builtins(told)
    return canonical_json(content)


ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/cameras/{camera}/plan",
        handler=read_plan,
        scope="read",
        about="Zones, stalls, lanes and portals where they appear in a camera's pictures, by the calibration that holds when"
        " the latest one was taken; without one, by the newest.",
        answer=PlanTold,
        refusals=(404, 503),
    ),
)
