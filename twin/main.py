"""The composition root: the only place that picks adapters and joins the parts into one service."""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from retrieval.opened import QdrantServer, SearchModels, open_search
from retrieval.weights_file import site_weights
from site_models.load import load_site, resolve
from site_models.schema import Site
from twin.access.hosts import hosts_of
from twin.api.app import create_app
from twin.api.live_protocol import WEBSOCKETS
from twin.api.metrics import Metrics
from twin.api.services import Services
from twin.backoff import Backoff
from twin.errors import BadInput
from twin.events.ids import SiteId
from twin.feeds.hub import Hub
from twin.feeds.publisher import FactPublisher
from twin.feeds.subscriptions import Subscriptions
from twin.log.blobs import BlobStore
from twin.log.port import Log
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.opened_access import opened_access
from twin.opened_logs import Logs, opened_logs
from twin.opened_maps import begin, known
from twin.opened_webhooks import start_webhooks
from twin.picture_embedders import embedders
from twin.process import Background, Server, listen, proxies_of, settle_memory, stop_signals
from twin.projections.runner import SnapshotRunner
from twin.projections.strips.opened import OpenStrips
from twin.projections.timeline import Timeline
from twin.retention import Keep, Retention
from twin.rules.fold import Fold
from twin.rules.warm_up import warm_up
from twin.service import FusionWorker
from twin.settings import Settings

if TYPE_CHECKING:
    from twin.log.kafka.log import KafkaLog


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


def search_place(settings: Settings) -> Path | QdrantServer:
    """Where the search indexes are: a folder with one for each site, or a server."""
    if settings.qdrant_url is None:
        return settings.data_dir / "search"
    return QdrantServer(
        url=settings.qdrant_url, api_key=settings.qdrant_api_key, replication_factor=settings.qdrant_replication
    )


def _start_fusion(
    settings: Settings, logs: Logs, sites: Mapping[SiteId, Site], background: Background, metrics: Metrics | None = None
) -> None:
    """A worker for every site; or, where a broker shares sites out, for those that this process is given."""
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
            gate_answered=None if metrics is None else partial(metrics.gate_answered, site),
            begins=partial(begin, logs, sites[site]),
        )

    if logs.kafka is None:
        for site in sites:
            background.start(f"fusion of {site}", worker(logs.log, site).run())
        return
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


@asynccontextmanager
async def opened(settings: Settings, sites: Mapping[SiteId, Site], background: Background) -> AsyncIterator[Services]:
    """Open every part for these sites, run what runs, and close all of it in reverse."""
    hosts = hosts_of(settings.hosts, listens_on=settings.host, has_keys=settings.has_keys)
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
        strips = OpenStrips(settings.past_cache_bytes)
        timelines = {name: Timeline(log, site, opened=strips, earlier=await known(logs, site)) for name, site in sites.items()}
        epoch = secrets.token_hex(8)
        hubs = {name: Hub(log, timeline, epoch=epoch) for name, timeline in timelines.items()}
        search = await stack.enter_async_context(
            open_search(search_place(settings), log, keys, timelines, _search_models(settings, sites))
        )
        access = await opened_access(settings, stack, background, secrets.token_bytes)
        stack.push_async_callback(background.aclose)
        metrics, subscriptions = Metrics(sites), {name: Subscriptions(log, store, site) for name, site in sites.items()}
        _start_fusion(settings, logs, sites, background, metrics)
        _start_retention(settings, logs, sites, background)
        webhooks = start_webhooks(settings, logs, subscriptions, metrics, background, secrets.token_bytes)
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
            metrics=metrics,
            checks={"parts": background.check},
            extra_routes=search.routes,
            access=access,
            hosts=hosts,
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
    listener: socket.socket | None = None,
) -> None:
    """Serve until a signal, until ``beside`` ends, or until a part fails.

    Args:
        announce: told the address once the service answers.
        listener: what ``listen`` gave for these settings, where the port had to be taken before; closed at the end.
        beside: runs while the service does, given its parts and address; when it returns, the service stops.

    Raises:
        Forbidden: the host is not a loopback address, and no keys are asked for.
        BadInput: the port is taken.
        TwinError: what a part failed with.
    """
    proxies = proxies_of(settings.trusted_proxies)
    if listener is None:
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
                forwarded_allow_ips=proxies,
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
    return SearchModels(embedders=embedders(settings), finder=packaged_finder(), weights=weights)
