"""What every camera's latest picture shows: the edge's boxes, and which vehicles the twin has for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from site_models.schema import Camera, Site
from twin.api.camera_standing import Standing, standing_of
from twin.api.endpoint import Endpoint, Parameter
from twin.api.exchange import json, services_of, site_of
from twin.api.services import Services
from twin.errors import NotFound
from twin.events.codec import rfc3339
from twin.events.pictures import PictureBox
from twin.events.wire import of_site
from twin.projections.picture_answers import BoxTold, PicturesTold, PictureTold
from twin.spatial.camera import GroundCamera

_YIELD_EVERY = 8  # cameras: ingest shares this loop


async def read_pictures(request: Request) -> Response:
    """What the latest pictures show."""
    services, site = services_of(request), site_of(request)
    told: list[PictureTold] = []
    known = await services.calibrations_of(site.name).all()
    for n, camera in enumerate(_asked(site, request.query_params.get("camera")), 1):
        told.append(_told(services, site, camera, standing_of(services, site, camera, known.get(camera.id, ()))))
        if n % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    answer = PicturesTold(
        site=site.name,
        now=rfc3339(services.access.clock()),
        position=str(services.hubs[site.name].names.position),
        pictures=told,
    )
    return json(msgspec.to_builtins(answer))


def _asked(site: Site, name: str | None) -> Sequence[Camera]:
    found = [one for one in site.cameras if name in (None, one.id)]
    if not found and name is not None:
        there = ", ".join(one.id for one in site.cameras) or "none"
        raise NotFound(f"site '{site.name}' has no camera '{name[:80]}'; there are {there}")
    return found


def _told(services: Services, site: Site, camera: Camera, standing: Standing) -> PictureTold:
    picture = services.pictures.get((site.name, camera.id))
    seen = None if picture is None else picture.seen
    return PictureTold(
        camera=camera.id,
        level=standing.level,
        frame_px=camera.frame_px,
        calibrated_at=standing.calibrated_at,
        taken_at=None if picture is None else picture.taken_at,
        received_at=None if picture is None else rfc3339(picture.received_at),
        boxes=None if seen is None else _boxes(services, site, camera, standing.camera, seen.boxes),
    )


def _boxes(services: Services, site: Site, camera: Camera, seeing: GroundCamera, boxes: Sequence[PictureBox]) -> list[BoxTold]:
    names = services.hubs[site.name].names
    contacts = [(round((one.box_px[0] + one.box_px[2]) / 2, 2), one.box_px[3]) for one in boxes]
    places = seeing.to_ground(np.array(contacts, dtype=np.float64).reshape(-1, 2), np.ones((len(boxes), 2)))
    is_of_frame = seeing.frame_px == camera.frame_px
    told: list[BoxTold] = []
    for one, contact, place, is_valid in zip(boxes, contacts, places.points_m.tolist(), places.is_valid.tolist(), strict=True):
        is_cut = "bottom" in one.truncated
        told.append(
            BoxTold(
                tracklet=one.tracklet,
                vehicle=names.of(one.tracklet),
                kind=one.kind,
                score=one.score,
                box_px=one.box_px,
                truncated=one.truncated,
                contact_px=None if is_cut else contact,
                contact_m=(round(place[0], 3), round(place[1], 3)) if is_valid and is_of_frame and not is_cut else None,
            )
        )
    return told


ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/pictures",
        handler=read_pictures,
        scope="read",
        about="What each camera's latest picture shows: its boxes with the vehicles that the twin has for them, and its age.",
        answer=PicturesTold,
        parameters=(Parameter(name="camera", about="Of this camera only.", schema=of_site("camera")),),
        refusals=(404, 503),
    ),
)
