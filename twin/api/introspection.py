"""What runs here and how it stands, for whoever looks after it: ``/-/NAME`` is a page, ``/-/NAME.json`` what it shows."""

from __future__ import annotations

import asyncio
import platform
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from twin.api.endpoint import Endpoint
from twin.api.exchange import json, services_of
from twin.api.services import Services
from twin.events.ids import SECOND, CameraId, SiteId
from twin.events.of_observing import CameraBiasEstimated, ClockEstimated
from twin.projections.moment import FOREVER
from twin.site_versions import MapStanding, versions_in

PAGES = ("/-/", "/-/versions", "/-/settings", "/-/cameras", "/-/consumers", "/-/log")

_PACKAGES = ("numpy", "scipy", "numba", "msgspec", "starlette", "uvicorn", "sqlalchemy", "qdrant-edge-py", "opencv-python")
_OF_CAMERAS = tuple(str(kind.__struct_config__.tag) for kind in (ClockEstimated, CameraBiasEstimated))
_LOOK_BACK_US = 14 * 86_400 * SECOND
_MOST_FACTS = 20_000


class Versions(Struct, frozen=True, kw_only=True):
    """What this process is made of.

    Attributes:
        sites: the digest of each site's model and of the fold's version.
        maps: which saved version of each site's map is in force, and whether a newer one waits for a start.
    """

    service: str
    python: str
    platform: str
    sqlite: str
    packages: dict[str, str]
    sites: dict[str, str]
    maps: list[MapStanding]


class Told(Struct, frozen=True, kw_only=True):
    """The settings of the process; a secret is "(set)" or null."""

    settings: dict[str, Any]


class CameraStanding(Struct, frozen=True, kw_only=True):
    """A camera: whether it delivers, and what is known of its errors.

    Attributes:
        clock_offset_us: what its times are put right by; None: nothing was found to put right in the last two weeks.
        gains_ppm: how fast its clock runs, if that is known.
        bias_m: how much too far from the camera, and too far to its left, it places vehicles, ``bias_at_m`` away from it.
    """

    site: str
    camera: str
    state: str
    since_at: str | None
    clock_offset_us: int | None = None
    gains_ppm: float | None = None
    bias_m: tuple[float, float] | None = None
    bias_at_m: float | None = None


class Cameras(Struct, frozen=True, kw_only=True):
    """Every camera of every site served."""

    cameras: list[CameraStanding]


class ConsumerStanding(Struct, frozen=True, kw_only=True):
    """A durable subscription; ``holders`` are the consumers that have facts of it now."""

    site: str
    name: str
    lag: int
    n_waiting: int
    n_leased: int
    n_parked: int
    is_full: bool
    is_paused: bool
    holders: list[str]


class Consumers(Struct, frozen=True, kw_only=True):
    """Who reads facts; ``live`` counts the live feed's clients of each site."""

    subscriptions: list[ConsumerStanding]
    live: dict[str, int]


class LogStanding(Struct, frozen=True, kw_only=True):
    """A site's two logs.

    Attributes:
        backlog: observations that are stored and not folded.
        observations_begin, movement_begins: positions up to which retention cut.
        n_refused: device keys that came again with other content; 1,000 at most are counted.
        observation_chain, fact_chain: the chains' heads; keep them elsewhere, and ``twin log verify`` proves the log by them.
    """

    site: str
    observations: int
    cursor: int
    facts: int
    backlog: int
    observations_begin: int
    movement_begins: int
    n_refused: int
    observation_chain: str
    fact_chain: str


class Logs(Struct, frozen=True, kw_only=True):
    """The logs of every site served."""

    sites: list[LogStanding]


async def read_versions(request: Request) -> Response:
    """What runs here."""
    services = services_of(request)
    packages = {name: _version(name) for name in _PACKAGES}
    return json(
        msgspec.to_builtins(
            Versions(
                service=services.version,
                python=sys.version.split()[0],
                platform=platform.platform(),
                sqlite=sqlite3.sqlite_version,
                packages={name: found for name, found in packages.items() if found is not None},
                sites={str(name): timeline.version for name, timeline in services.timelines.items()},
                maps=await asyncio.to_thread(_maps, services),
            )
        )
    )


async def read_settings(request: Request) -> Response:
    """What the process was told."""
    return json({"settings": dict(services_of(request).settings)})


async def read_cameras(request: Request) -> Response:
    """Cameras of all sites."""
    services = services_of(request)
    of_sites = await asyncio.gather(*(_cameras(services, site) for site in sorted(services.sites)))
    return json({"cameras": msgspec.to_builtins([one for cameras in of_sites for one in cameras])})


async def read_consumers(request: Request) -> Response:
    """Subscriptions and live clients."""
    services = services_of(request)
    found = [
        ConsumerStanding(
            site=site,
            name=one.subscription.name,
            lag=one.lag,
            n_waiting=one.tally.waiting,
            n_leased=one.tally.leased,
            n_parked=one.tally.parked,
            is_full=one.is_full,
            is_paused=one.subscription.paused_at is not None,
            holders=sorted({waits.holder for waits in one.subscription.queue.values() if waits.state == "leased"} - {""}),
        )
        for site, subscriptions in sorted(services.subscriptions.items())
        for one in await subscriptions.standings()
    ]
    live = {str(site): hub.n_clients for site, hub in services.hubs.items()}
    return json(msgspec.to_builtins(Consumers(subscriptions=found, live=live)))


async def read_logs(request: Request) -> Response:
    """How far the logs are."""
    services = services_of(request)
    return json({"sites": msgspec.to_builtins([await _log(services, site) for site in sorted(services.sites)])})


async def _cameras(services: Services, site: SiteId) -> list[CameraStanding]:
    state = await services.timelines[site].state()
    offsets, biases = await _errors(services, site)
    standing = list[CameraStanding]()
    for one in state["cameras"]:
        offset, bias = offsets.get(one["camera"]), biases.get(one["camera"])
        standing.append(
            CameraStanding(
                site=site,
                camera=one["camera"],
                state=one["state"],
                since_at=one["since_at"],
                clock_offset_us=None if offset is None else offset.offset_us,
                gains_ppm=None if offset is None else offset.gains_ppm,
                bias_m=None if bias is None else (bias.along_m, bias.across_m),
                bias_at_m=None if bias is None else bias.distance_m,
            )
        )
    return standing


async def _errors(
    services: Services, site: SiteId
) -> tuple[dict[CameraId, ClockEstimated], dict[CameraId, CameraBiasEstimated]]:
    """The latest estimates of each camera's clock and bias, of those of the last two weeks."""
    heads = await services.log.heads(site)
    last = await services.log.facts_at(site, [heads.facts]) if heads.facts else []
    since = (last[0].event.occurred_at if last else 0) - _LOOK_BACK_US
    facts = await services.log.facts_between(
        site, after_at=since, until_at=FOREVER, until_position=heads.facts, types=_OF_CAMERAS, limit=_MOST_FACTS
    )
    payloads = [fact.event.payload for fact in facts]
    offsets = {one.camera: one for one in payloads if isinstance(one, ClockEstimated)}
    biases = {one.camera: one for one in payloads if isinstance(one, CameraBiasEstimated)}
    return offsets, biases


async def _log(services: Services, site: SiteId) -> LogStanding:
    log = services.log
    heads, chain, cuts = await log.heads(site), await log.chain(site), await log.cuts(site)
    return LogStanding(
        site=site,
        observations=heads.observations,
        cursor=heads.cursor,
        facts=heads.facts,
        backlog=await log.backlog(site),
        observations_begin=cuts.observations,
        movement_begins=cuts.movement,
        n_refused=len(await log.refusals(site)),
        observation_chain=chain.observations.link.content.hex(),
        fact_chain=chain.facts.link.content.hex(),
    )


def _maps(services: Services) -> list[MapStanding]:
    if services.data_dir is None:
        return []
    return [versions_in(services.data_dir, site.name).standing(site) for _, site in sorted(services.sites.items())]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


ENDPOINTS = (
    Endpoint(
        path="/-/versions.json",
        handler=read_versions,
        scope="admin",
        about="Versions of the service, of what it stands on, and of each site's model.",
        answer=Versions,
    ),
    Endpoint(
        path="/-/settings.json",
        handler=read_settings,
        scope="admin",
        about="The settings of the process, secrets left out.",
        answer=Told,
    ),
    Endpoint(
        path="/-/cameras.json",
        handler=read_cameras,
        scope="admin",
        about="Every camera: whether it delivers, how far its clock is off, and how far its places.",
        answer=Cameras,
        refusals=(503,),
    ),
    Endpoint(
        path="/-/consumers.json",
        handler=read_consumers,
        scope="admin",
        about="Durable subscriptions and how far they are, and how many watch the live feeds.",
        answer=Consumers,
        refusals=(503,),
    ),
    Endpoint(
        path="/-/log.json",
        handler=read_logs,
        scope="admin",
        about="How far the logs are, where they begin, and the heads of their chains.",
        answer=Logs,
        refusals=(503,),
    ),
)
