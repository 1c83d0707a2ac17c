"""The composition root: the only place that picks adapters and joins the parts into one service."""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from retrieval.embedder import Embedder
from retrieval.opened import QdrantServer, SearchModels, open_search
from retrieval.weights_file import site_weights
from site_models.load import load_site, resolve
from site_models.schema import Site
from twin.access.opened import Access, open_access
from twin.access.rates import RateLimits
from twin.api.app import create_app
from twin.api.live_protocol import WEBSOCKETS
from twin.api.metrics import Metrics
from twin.api.services import Services
from twin.backoff import Backoff
from twin.errors import BadInput, MissingExtra
from twin.events.ids import SiteId
from twin.feeds.hub import Hub
from twin.feeds.publisher import FactPublisher
from twin.feeds.receiver_address import allowed_of
from twin.feeds.receivers import Receivers
from twin.feeds.subscriptions import Subscriptions
from twin.feeds.webhook_secrets import WebhookSecrets
from twin.feeds.webhook_sender import WebhookSender
from twin.feeds.webhooks import Webhooks
from twin.known_calibrations import KnownCalibrations
from twin.log.blobs import BlobStore
from twin.log.clock import system_clock
from twin.log.port import Log
from twin.log.sealing import SealingLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.log import SqlLog
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.log.sql.webhooks import SqlWebhooks
from twin.process import Background, Server, listen, settle_memory, stop_signals
from twin.projections.runner import SnapshotRunner
from twin.projections.timeline import Timeline
from twin.retention import Keep, Retention
from twin.rules.fold import Fold
from twin.rules.warm_up import warm_up
from twin.service import FusionWorker
from twin.settings import Settings

if TYPE_CHECKING:
    from twin.log.kafka.log import KafkaLog


WEBHOOKS_LOOK_EVERY_S = 5.0
"""How often a process looks for webhooks that another one changed."""


def load_sites(names: list[str]) -> dict[SiteId, Site]:
    """Load sites by folder or packaged name.

    Raises:
        SiteFault: a site has faults.
        BadInput: two folders hold sites of one name.
    """
    sites: dict[SiteId, Site] = {}
    for name in names:
        site = load_site(resolve(name))
        if site.name in sites:
            raise BadInput(f"two of the given folders hold a site named '{site.name}'; name each site once")
        sites[site.name] = site
    return sites


def open_log(settings: Settings, *, read_only: bool = False, upgrade: bool = False) -> SqlLog:
    """The log that the settings name; raises as ``SqlLog.open``."""
    queued = settings.queued_events
    return SqlLog.open(settings.log_location, read_only=read_only, upgrade=upgrade, n_queued_events=queued)


def search_place(settings: Settings) -> Path | QdrantServer:
    """Where the search indexes are: a folder with one for each site, or a server."""
    if settings.qdrant_url is None:
        return settings.data_dir / "search"
    return QdrantServer(
        url=settings.qdrant_url, api_key=settings.qdrant_api_key, replication_factor=settings.qdrant_replication
    )


@dataclass(frozen=True)
class Logs:
    """One log in its layers.

    Attributes:
        log: what everybody appends to and reads from; it seals personal data.
        kafka: where the observations are kept in a broker.
    """

    log: SealingLog
    sql: SqlLog
    kafka: KafkaLog | None
    keys: SqlKeyRing


@asynccontextmanager
async def opened_logs(settings: Settings, *, read_only: bool = False) -> AsyncIterator[Logs]:
    """The log that the settings name, until the block ends.

    Raises:
        MissingExtra: a broker is named and its client is not installed.
        Overloaded: no broker answers.
    """
    sql = open_log(settings, read_only=read_only)
    kafka = None
    try:
        if settings.kafka_brokers is not None:
            kafka = await _kafka(settings, sql)
        keys = SqlKeyRing(sql)
        yield Logs(log=SealingLog(kafka or sql, keys), sql=sql, kafka=kafka, keys=keys)
    finally:
        await (kafka or sql).aclose()


async def _kafka(settings: Settings, sql: SqlLog) -> KafkaLog:
    if find_spec("aiokafka") is None:
        raise MissingExtra("TWIN_KAFKA_BROKERS is set, but aiokafka is not installed; pip install 'spatial-twin[kafka]'")
    from twin.log.kafka.log import KafkaLog

    assert settings.kafka_brokers is not None
    return await KafkaLog.open(
        sql,
        settings.kafka_brokers,
        settings.kafka_topic,
        n_partitions=settings.kafka_partitions,
        n_queued_events=settings.queued_events,
    )


def _start_fusion(
    settings: Settings, logs: Logs, sites: Mapping[SiteId, Site], background: Background
) -> Mapping[SiteId, FusionWorker]:
    """A worker for every site, which it gives; or, where a broker shares sites out, for those that this process is given."""
    worker_id = f"{socket.gethostname()}-{secrets.token_hex(3)}"

    def worker(log: Log, site: SiteId) -> FusionWorker:
        return FusionWorker(
            log,
            logs.keys,
            Fold(sites[site]),
            worker_id=worker_id,
            batch_size=settings.fold_batch,
            snapshot_every=settings.snapshot_every,
            tick_interval_s=settings.tick_interval_s,
        )

    if logs.kafka is None:
        workers = {site: worker(logs.log, site) for site in sites}
        for site, one in workers.items():
            background.start(f"fusion of {site}", one.run())
        return workers
    from twin.fusion_group import FusionGroup

    backoff = Backoff(random.random, longest_s=5.0)

    group = FusionGroup(
        logs.kafka,
        logs.log,
        list(sites),
        worker,
        group=settings.kafka_group,
        worker_id=worker_id,
        backoff=backoff,
    )
    background.start("fusion group", group.run())
    for site in sites:
        background.start(f"publishing of {site}", _publish(settings, logs, logs.kafka, sites[site], worker_id, backoff))
    return {}


def _start_retention(settings: Settings, logs: Logs, sites: Mapping[SiteId, Site], background: Background) -> None:
    """For every site, where the settings bound what is kept."""
    keep = Keep(observations_days=settings.keep_observations_days, movement_days=settings.keep_movement_days)
    if keep == Keep():
        return
    for name, site in sites.items():
        retention = Retention(logs.log, logs.keys, Fold(site), SqlSubscriptions(logs.sql))
        background.start(f"retention of {name}", retention.run(keep, every_s=settings.retention_every_s))


async def _publish(settings: Settings, logs: Logs, kafka: KafkaLog, site: Site, worker_id: str, backoff: Backoff) -> None:
    from twin.log.kafka.broker import ensure_topic

    assert settings.kafka_brokers is not None
    topic = await ensure_topic(settings.kafka_brokers, settings.kafka_facts_topic, n_partitions=settings.kafka_partitions)
    subscriptions = Subscriptions(logs.log, SqlSubscriptions(logs.sql), site)

    async def send(values: Sequence[bytes]) -> None:
        await kafka.sender.send(topic, site.name, values)

    await FactPublisher(subscriptions, send, consumer=worker_id, backoff=backoff).run()


def rate_limits(settings: Settings) -> RateLimits:
    """What one key may ask for, or one address where access is open."""
    reads, searches, ingest_mb = settings.reads_per_s, settings.searches_per_s, settings.ingest_mb_per_s
    if settings.has_keys:
        reads, searches, ingest_mb = reads or 200, searches or 20, ingest_mb or 64
    return RateLimits(
        reads_per_s=reads,
        searches_per_s=searches,
        ingest_bytes_per_s=ingest_mb and ingest_mb * 1_000_000,
        failures_per_minute=30 if settings.has_keys else None,
    )


async def _opened_access(settings: Settings, stack: AsyncExitStack, background: Background) -> Access:
    access = await stack.enter_async_context(
        open_access(
            settings.access_location,
            settings.data_dir / "session.secret" if settings.has_keys else None,
            rates=rate_limits(settings),
            session_s=round(settings.session_hours * 3600),
            clock=system_clock,
            chance=secrets.token_bytes,
        )
    )
    assert access.audit is not None
    background.start("audit retention", access.audit.keep(settings.audit_days, system_clock))
    return access


def _start_webhooks(
    settings: Settings, logs: Logs, subscriptions: Mapping[SiteId, Subscriptions], metrics: Metrics, background: Background
) -> dict[SiteId, Webhooks]:
    """Every site's webhooks, each site with what sends them."""
    receivers = Receivers(allowed_of(settings.webhook_allow))
    is_alone = settings.database_url is None  # SQLite has one process that writes: what it held before a restart is its own
    consumer = "webhooks" if is_alone else f"webhooks-{socket.gethostname()}-{secrets.token_hex(3)}"
    found: dict[SiteId, Webhooks] = {}
    for name, of in subscriptions.items():
        of_site = WebhookSecrets(logs.keys, name, secrets.token_bytes)
        found[name] = Webhooks(of, SqlWebhooks(logs.sql), of_site, receivers, name)
        sender = WebhookSender(
            found[name],
            of,
            receivers,
            name,
            consumer=consumer,
            look_every_s=None if is_alone else WEBHOOKS_LOOK_EVERY_S,
            told=partial(metrics.sent, name),
        )
        background.start(f"webhooks of {name}", sender.run())
    return found


@asynccontextmanager
async def opened(settings: Settings, sites: Mapping[SiteId, Site], background: Background) -> AsyncIterator[Services]:
    """Open every part for these sites, run what runs, and close all of it in reverse."""
    async with AsyncExitStack() as stack:
        logs = await stack.enter_async_context(opened_logs(settings))
        log, keys, store = logs.log, logs.keys, SqlSubscriptions(logs.sql)
        blobs = await asyncio.to_thread(
            BlobStore,
            settings.data_dir / "crops",
            keys,
            quota_bytes=settings.crop_quota_bytes,
            limit_bytes=settings.crop_limit_bytes,
        )
        timelines = {name: Timeline(log, site) for name, site in sites.items()}
        epoch = secrets.token_hex(8)
        hubs = {name: Hub(log, timeline, epoch=epoch) for name, timeline in timelines.items()}
        search = await stack.enter_async_context(
            open_search(search_place(settings), log, keys, timelines, _search_models(settings, sites))
        )
        access = await _opened_access(settings, stack, background)
        stack.push_async_callback(background.aclose)
        workers = _start_fusion(settings, logs, sites, background)
        known = KnownCalibrations(log, {name: Fold(site) for name, site in sites.items()}, workers, system_clock)
        _start_retention(settings, logs, sites, background)
        metrics, subscriptions = Metrics(), {name: Subscriptions(log, store, site) for name, site in sites.items()}
        webhooks = _start_webhooks(settings, logs, subscriptions, metrics, background)
        for name in sites:
            background.start(f"live feed of {name}", hubs[name].run())
            background.start(f"snapshots of {name}", SnapshotRunner(log, timelines[name]).run())
            background.start(f"search index of {name}", search.follow(name))
        yield Services(
            log=log,
            keys=keys,
            sites=sites,
            timelines=timelines,
            hubs=hubs,
            subscriptions=subscriptions,
            webhooks=webhooks,
            crops=blobs,
            calibrations=known.of,
            metrics=metrics,
            checks={"parts": background.check},
            extra_routes=search.routes,
            access=access,
            version=version("spatial-twin"),
            data_dir=settings.data_dir,
            settings=settings.told(),
            new_request_id=lambda: secrets.token_hex(8),
        )


_NO_KEY = " (access is open to every program on this machine; TWIN_ACCESS=keys asks for keys)"


async def serve_sites(
    settings: Settings,
    sites: Mapping[SiteId, Site],
    *,
    announce: Callable[[str], None],
    beside: Callable[[Services, str], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve until a signal, until ``beside`` ends, or until a part fails.

    Args:
        announce: told the address once the service answers.
        beside: runs while the service does, given its parts and address; when it returns, the service stops.

    Raises:
        Forbidden: the host is not a loopback address, and no keys are asked for.
        BadInput: the port is taken.
        TwinError: what a part failed with.
    """
    listener = listen(settings.host, settings.port, has_keys=settings.has_keys)
    await asyncio.to_thread(warm_up)
    url = f"http://{settings.host}:{listener.getsockname()[1]}"
    background = Background()
    with listener:
        async with opened(settings, sites, background) as services:
            app = create_app(services)
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,  # ours has ids, and leaves out what is of no interest
                lifespan="off",
                timeout_graceful_shutdown=5,
                forwarded_allow_ips=settings.trusted_proxies,
                **WEBSOCKETS,
            )
            server = Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            with stop_signals() as stopped:
                others: list[asyncio.Task[Any]] = [
                    asyncio.create_task(background.failed.wait()),
                    asyncio.create_task(stopped.wait()),
                ]
                try:
                    await server.answers.wait()
                    settle_memory()
                    announce(f"{', '.join(sites)}: {url}{_NO_KEY if not settings.has_keys else ''}")
                    if beside is not None:
                        others.append(asyncio.create_task(beside(services, url)))
                    done, _ = await asyncio.wait([serving, *others], return_when=asyncio.FIRST_COMPLETED)
                    if stopped.is_set():
                        services.stopping.set()
                        await _drain(stopped, settings.drain_s)
                finally:
                    services.stopping.set()
                    server.should_exit = True
                    for task in others:
                        task.cancel()
                    await asyncio.gather(serving, *others, return_exceptions=True)
            for task in done:
                task.result()
        if background.failure is not None:
            raise background.failure


async def _drain(stopped: asyncio.Event, drain_s: float) -> None:
    """Go on serving for a while, until whoever sends requests has seen that none should come; a second signal ends it."""
    stopped.clear()
    with suppress(TimeoutError):
        await asyncio.wait_for(stopped.wait(), drain_s)


async def work_on_sites(settings: Settings, sites: Mapping[SiteId, Site], *, announce: Callable[[str], None]) -> None:
    """Fold, and nothing else, what the consumer group gives this process, until a signal.

    Raises:
        BadInput: no broker is named, so there is no group.
        TwinError: what the fold failed with.
    """
    if settings.kafka_brokers is None:
        raise BadInput("workers share sites out by a broker's consumer group; set TWIN_KAFKA_BROKERS, or use `twin serve`")
    background = Background()
    await asyncio.to_thread(warm_up)
    async with opened_logs(settings) as logs:
        with stop_signals() as stopped:
            _start_fusion(settings, logs, sites, background)
            settle_memory()
            announce(f"{', '.join(sites)}: in group '{settings.kafka_group}' of {settings.kafka_brokers}")
            waits = [asyncio.create_task(one.wait()) for one in (background.failed, stopped)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
                await background.aclose()
    if background.failure is not None:
        raise background.failure


def _search_models(settings: Settings, sites: Mapping[SiteId, Site]) -> SearchModels:
    """What picture search looks with, as far as its packages are installed."""
    from twin.picture_finder import packaged_finder

    weights = {name: site_weights(settings.data_dir, name) for name in sites}
    return SearchModels(embedders=_embedders(settings), finder=packaged_finder(), weights=weights)


def _embedders(settings: Settings) -> list[Embedder]:
    """What picture search embeds with: one for each kind of view that cameras may send, where its packages are installed."""
    if find_spec("cv2") is None:
        return []
    from perception.embed import open_embedder
    from perception.models import packaged_if_any

    if settings.embedder is not None:
        return [open_embedder(settings.embedder)]
    embedders: list[Embedder] = [open_embedder(None)]
    packaged = packaged_if_any("embedder")
    if packaged is not None and any(find_spec(runtime) for runtime in ("openvino", "onnxruntime")):
        embedders.append(open_embedder(packaged))
    return embedders
