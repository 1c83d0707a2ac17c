"""A site's map edited: checked in memory, and saved as a new version beside the one that is served."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from site_models.edit import Change, Edited, difference, with_features
from site_models.schema import Site
from twin.api.bodies import Time, read_json
from twin.api.endpoint import Endpoint
from twin.api.exchange import body_of, json, services_of, site_of
from twin.api.ingest import told_once
from twin.errors import Contradiction, NotFound, SiteFault
from twin.events.codec import micros
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import DeviceId
from twin.events.observations import SiteEdited
from twin.site_versions import SiteVersion, SiteVersions, versions_in

DESK = DeviceId("site-editor")

_BODY_BYTES = 4_000_000
_SEE = "ops/docs/site.md"
_Words = Annotated[str, Meta(min_length=1, max_length=1_000)]


class EditionGiven(Edited, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A map to be kept as a new version."""

    author: _Words
    reason: _Words
    at: Time


class EditionChecked(Struct, frozen=True, kw_only=True):
    """Every fault that the site would have, as ``twin site check`` says it, and what differs from the one that is served."""

    faults: list[str]
    changes: list[Change]


class EditionSaved(Struct, frozen=True, kw_only=True):
    """Where the new version is.

    Attributes:
        folder: what ``twin serve --site`` takes at its next start.
        position: of ``site.edited.v1``, which says so in the log; left out where a broker took it.
    """

    version: int
    folder: str
    position: str | None
    changes: list[Change]


class Editions(Struct, frozen=True, kw_only=True):
    """Versions that were saved here, the oldest first.

    Attributes:
        in_force: the one that the running service uses; null: its map is none of them.
    """

    versions: list[SiteVersion]
    in_force: int | None


async def check_edition(request: Request) -> Response:
    """Check, and keep nothing."""
    site = site_of(request)
    given = read_json(await body_of(request, most_bytes=_BODY_BYTES), Edited, what="the map", see=_SEE)
    _, faults, changes = await asyncio.to_thread(_checked, site, given)
    return json(msgspec.to_builtins(EditionChecked(faults=list(faults), changes=list(changes))))


async def save_edition(request: Request) -> Response:
    """Keep it beside the site that is served; refused where it has faults."""
    site = site_of(request)
    given = read_json(await body_of(request, most_bytes=_BODY_BYTES), EditionGiven, what="the map", see=_SEE)
    made, faults, changes = await asyncio.to_thread(_checked, site, given)
    if faults:
        raise Contradiction(str(SiteFault(site.name, faults)))
    kept = await asyncio.to_thread(
        _versions(request).save, made, at=given.at, author=given.author, reason=given.reason, changes=changes
    )
    told = EditionSaved(
        version=kept.version,
        folder=str(_versions(request).folder(kept.version)),
        position=await _logged(request, kept),
        changes=list(changes),
    )
    return json(msgspec.to_builtins(told), 201)


async def _logged(request: Request, kept: SiteVersion) -> str | None:
    """Append that a version was saved; gives the event's position."""
    services, site = services_of(request), site_of(request)
    payload = SiteEdited(version=kept.version, digest=kept.digest, author=kept.author, reason=kept.reason)
    cause = blake2b(f"{kept.version} {kept.digest} {kept.at}".encode(), digest_size=7).digest()
    key = DeviceKey(device=DESK, boot_epoch=int.from_bytes(cause, "big"), sequence=1)
    (receipt,) = await services.log.append(
        [ObservationEvent(site=site.name, key=key, occurred_at=micros(kept.at), payload=payload)]
    )
    services.metrics.ingested(site.name, [receipt])
    return told_once(receipt, f"version {kept.version}").get("position")


async def list_editions(request: Request) -> Response:
    """What was saved, by whom, when and why."""
    kept, site = _versions(request), site_of(request)
    versions, in_force = await asyncio.to_thread(lambda: (kept.all(), kept.in_force(site)))
    return json(msgspec.to_builtins(Editions(versions=versions, in_force=in_force)))


async def read_edition(request: Request) -> Response:
    """One version's files."""
    site, versions = site_of(request), _versions(request)
    text = request.path_params["version"]
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise NotFound(f"'{text[:40]}' is no version of a site; they are numbered from 1")
    packed = await asyncio.to_thread(versions.packed, int(text))
    headers = {"content-disposition": f'attachment; filename="{site.name}-{int(text):04d}.zip"'}
    return Response(packed, media_type="application/zip", headers=headers)


def _checked(site: Site, given: Edited) -> tuple[Site, tuple[str, ...], tuple[Change, ...]]:
    made, faults = with_features(site, given)
    return made, faults, difference(site, made)


def _versions(request: Request) -> SiteVersions:
    services, site = services_of(request), site_of(request)
    if services.data_dir is None:
        raise NotFound("this service has no data folder, so it keeps no versions of sites; start it with --data-dir")
    return versions_in(services.data_dir, site.name)


_PATH = "/v1/sites/{site}/model"

ENDPOINTS = (
    Endpoint(
        path=f"{_PATH}/check",
        method="POST",
        handler=check_edition,
        scope="operate",
        about="Every fault that a site would have with these zones, stalls, lanes and portals, and what differs from now.",
        answer=EditionChecked,
        body=Edited,
        refusals=(404, 413, 422),
    ),
    Endpoint(
        path=f"{_PATH}/versions",
        method="POST",
        status=201,
        handler=save_edition,
        scope="admin",
        about="Keep a map as a new version of the site: a folder for the service's next start. The running one stays as it is.",
        answer=EditionSaved,
        body=EditionGiven,
        refusals=(404, 409, 413, 422, 503),
    ),
    Endpoint(
        path=f"{_PATH}/versions",
        handler=list_editions,
        scope="read",
        about="Versions of the site that were saved here, and which of them the running service uses.",
        answer=Editions,
        refusals=(404,),
    ),
    Endpoint(
        path=f"{_PATH}/versions/{{version}}",
        handler=read_edition,
        scope="read",
        about="One version's files: site.toml, cameras.toml, map.geojson, version.json.",
        answer="application/zip",
        refusals=(404,),
    ),
)
