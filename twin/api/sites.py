"""The sites served and their models, as the map draws them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from site_models.schema import Camera, Level, Pinhole, Point, Site
from twin.api.endpoint import Endpoint
from twin.api.exchange import json, services_of, site_of
from twin.api.guard import grant_of
from twin.api.schemas import Sites
from twin.events.codec import canonical_json
from twin.graph.coverage import pieces_by_stall
from twin.projections.site_answers import SiteModel
from twin.spatial.camera import GroundCamera


async def list_sites(request: Request) -> Response:
    """Names of those that may be read, sorted."""
    grant = grant_of(request)
    return json({"sites": sorted(one for one in services_of(request).sites if grant.allows("read", one))})


async def read_site(request: Request) -> Response:
    """One site's model, made once: it does not change while the service runs."""
    site, models = site_of(request), request.app.state.models
    if site.name not in models:
        models[site.name] = canonical_json(model_of(site))
    return Response(models[site.name], media_type="application/json")


def model_of(site: Site) -> dict[str, Any]:
    """A site as ``SiteModel`` describes it."""
    level_by_id = {level.id: level for level in site.levels}
    cameras = [_camera(camera, level_by_id[camera.level]) for camera in site.cameras]
    xs, ys = zip(*_corners(site, cameras), strict=True)
    return {
        **msgspec.to_builtins(site),
        "cameras": cameras,
        "cameras_by_stall": {stall: [sorted(piece) for piece in pieces] for stall, pieces in pieces_by_stall(site).items()},
        "extent_m": [min(xs), min(ys), max(xs), max(ys)],
    }


def _camera(camera: Camera, level: Level) -> dict[str, Any]:
    geometry = camera.geometry
    footprint = GroundCamera.of(camera, level).footprint_m()
    return {
        **msgspec.to_builtins(camera),
        "footprint_m": [[round(float(x), 3), round(float(y), 3)] for x, y in footprint],
        "position_m": list(geometry.position_m) if isinstance(geometry, Pinhole) else None,
    }


def _corners(site: Site, cameras: list[dict[str, Any]]) -> Iterator[Point]:
    """Every point that is drawn; footprints only where the site has nothing else."""
    for area in (*site.zones, *site.stalls):
        yield from area.ring_m
    for line in (*site.lanes, *site.portals):
        yield from line.line_m
    for obstacle in site.obstacles:
        yield from obstacle.outline_m
    yield from (landmark.point_m for landmark in site.landmarks)
    yield from (camera["position_m"][:2] for camera in cameras if camera["position_m"] is not None)
    if not (site.zones or site.lanes or site.portals):
        yield from ((x, y) for camera in cameras for x, y in camera["footprint_m"])
        yield (0.0, 0.0)


ENDPOINTS = (
    Endpoint(
        path="/v1/sites",
        handler=list_sites,
        scope="read",
        about="Names of the sites that the key may read.",
        answer=Sites,
    ),
    Endpoint(
        path="/v1/sites/{site}",
        handler=read_site,
        scope="read",
        about="The model of a site, cameras with their footprints; metres in the site frame.",
        answer=SiteModel,
        refusals=(404,),
    ),
)
