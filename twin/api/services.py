"""What the API serves from. The composition root opens it, runs it and closes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from site_models.schema import Site
from twin.access.hosts import Hosts
from twin.access.opened import Access, open_to_all
from twin.api.metrics import Metrics
from twin.api.turns import Turns
from twin.errors import NotFound
from twin.events.ids import SiteId
from twin.feeds.hub import Hub
from twin.feeds.subscriptions import Subscriptions
from twin.feeds.webhooks import Webhooks
from twin.log.blobs import BlobStore
from twin.log.clock import system_clock
from twin.log.keys import KeyRing
from twin.log.port import Log
from twin.projections.camera_calibrations import CameraCalibrations
from twin.projections.timeline import Timeline

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from twin.api.camera_pictures import LatestPictures

Check = Callable[[], Awaitable[str | None]]
"""None when well; else what is wrong, in words."""


class ApiLimits(Struct, frozen=True, kw_only=True):
    """How large a request and an answer may be."""

    ingest_bytes: int = 16 * 2**20
    ingest_events: int = 10_000
    crop_bytes: int = 4_000_000
    page_facts: int = 10_000


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that the routes need.

    Attributes:
        sites: sites served; a log may hold others.
        keys: what personal data in the log is sealed with.
        timelines, hubs, subscriptions: one for each site; ``hubs`` are run by whoever opened them.
        webhooks: for each site that sends them.
        checks: for ``/healthz``, by name; whether the log answers is checked without being named here.
        extra_routes: routes of parts that the API does not know, such as search; their functions have a ``scope``.
        reserved_devices: device names that nobody outside may use.
        hosts: names that the service may be asked for by.
        data_dir: whose disk is watched.
        stopping: set when the process is about to end: nobody should send it anything new, and what waits is answered.
        settings: what the process was told, secrets left out.
        pictures: the latest of each camera.
        calibrating: bounds how many calibrations are computed at once, and how many plans are projected.
        calibrations: what is known of each site's cameras, once somebody asked; see ``calibrations_of``.
        new_request_id: a name for a request that came without one.
    """

    log: Log
    keys: KeyRing
    sites: Mapping[SiteId, Site]
    timelines: Mapping[SiteId, Timeline]
    hubs: Mapping[SiteId, Hub]
    subscriptions: Mapping[SiteId, Subscriptions]
    crops: BlobStore
    metrics: Metrics
    webhooks: Mapping[SiteId, Webhooks] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    extra_routes: Sequence[BaseRoute] = ()
    reserved_devices: frozenset[str] = frozenset({"twin-worker", "operators", "payments", "calibrations", "site-editor"})
    limits: ApiLimits = field(default_factory=ApiLimits)
    access: Access = field(default_factory=lambda: open_to_all(system_clock))
    hosts: Hosts = field(default_factory=Hosts)
    version: str = "0"
    data_dir: Path | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    settings: Mapping[str, Any] = field(default_factory=dict)
    pictures: LatestPictures = field(default_factory=dict)
    calibrating: Turns = field(default_factory=lambda: Turns(at_once=2, most_waiting=20))
    calibrations: dict[SiteId, CameraCalibrations] = field(default_factory=dict)
    new_request_id: Callable[[], str] = field(default_factory=lambda: map("request-{}".format, count(1)).__next__)

    def calibrations_of(self, site: SiteId) -> CameraCalibrations:
        """Those of a served site's cameras that came with the log."""
        if site not in self.calibrations:
            self.calibrations[site] = CameraCalibrations(self.log, self.sites[site])
        return self.calibrations[site]

    def site(self, name: str) -> Site:
        """A site that is served; raises NotFound."""
        site = self.sites.get(SiteId(name))
        if site is None:
            raise NotFound(f"there is no site '{name[:80]}' here; there are {', '.join(sorted(self.sites)) or 'none'}")
        return site
