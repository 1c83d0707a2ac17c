"""The composition root: the only place that picks adapters and joins the parts into one service."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any

import uvicorn

from retrieval.embedder import Embedder
from retrieval.opened import open_search
from site_models.load import load_site, resolve
from site_models.schema import Site
from twin.api.app import create_app
from twin.api.metrics import Metrics
from twin.api.services import Services
from twin.errors import BadInput, Forbidden
from twin.events.ids import SiteId
from twin.feeds.hub import Hub
from twin.feeds.subscriptions import Subscriptions
from twin.log.blobs import BlobStore
from twin.log.sealing import SealingLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.log import SqlLog
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.projections.runner import SnapshotRunner
from twin.projections.timeline import Timeline
from twin.rules.fold import Fold
from twin.service import FusionWorker
from twin.settings import Settings

_logger = logging.getLogger(__name__)


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


class Background:
    """Long-running parts of the service; the first that fails is remembered, and ends the service."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failed = asyncio.Event()
        self.failure: BaseException | None = None

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run one part until ``aclose``."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._note)
        self._tasks[name] = task

    async def check(self) -> str | None:
        """For ``/healthz``: which parts have ended."""
        ended = sorted(name for name, task in self._tasks.items() if task.done())
        return f"not running: {', '.join(ended)}" if ended else None

    async def aclose(self) -> None:
        """Cancel what still runs and wait for it."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _note(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (failure := task.exception()) is None:
            return
        _logger.error("%s failed: %s", task.get_name(), failure, exc_info=failure)
        self.failure = self.failure or failure
        self.failed.set()


@asynccontextmanager
async def opened(settings: Settings, sites: Mapping[SiteId, Site], background: Background) -> AsyncIterator[Services]:
    """Open every part for these sites, run what runs, and close all of it in reverse."""
    async with AsyncExitStack() as stack:
        sql = open_log(settings)
        stack.push_async_callback(sql.aclose)
        keys, store = SqlKeyRing(sql), SqlSubscriptions(sql)
        log = SealingLog(sql, keys)
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
            open_search(settings.data_dir / "search", log, keys, sites, _embedders(settings))
        )
        stack.push_async_callback(background.aclose)
        for name, site in sites.items():
            background.start(f"fusion of {name}", _worker(settings, log, keys, site).run())
            background.start(f"live feed of {name}", hubs[name].run())
            background.start(f"snapshots of {name}", SnapshotRunner(log, timelines[name]).run())
            background.start(f"search index of {name}", search.follow(name))
        yield Services(
            log=log,
            sites=sites,
            timelines=timelines,
            hubs=hubs,
            subscriptions={name: Subscriptions(log, store, site) for name, site in sites.items()},
            crops=blobs,
            metrics=Metrics(),
            checks={"parts": background.check},
            extra_routes=search.routes,
            version=version("spatial-twin"),
        )


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
        Forbidden: the host is not a loopback address.
        BadInput: the port is taken.
        TwinError: what a part failed with.
    """
    listener = listen(settings.host, settings.port)
    url = f"http://{settings.host}:{listener.getsockname()[1]}"
    background = Background()
    with listener:
        async with opened(settings, sites, background) as services:
            app = create_app(services)
            config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=5, ws="websockets-sansio")
            server = _Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            with _stop_signals() as stopped:
                others: list[asyncio.Task[Any]] = [
                    asyncio.create_task(background.failed.wait()),
                    asyncio.create_task(stopped.wait()),
                ]
                try:
                    await server.answers.wait()
                    announce(f"{', '.join(sites)}: {url}")
                    if beside is not None:
                        others.append(asyncio.create_task(beside(services, url)))
                    done, _ = await asyncio.wait([serving, *others], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    server.should_exit = True
                    for task in others:
                        task.cancel()
                    await asyncio.gather(serving, *others, return_exceptions=True)
            for task in done:
                task.result()
        if background.failure is not None:
            raise background.failure


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which would end the process before the log is closed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.answers.set()


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on a loopback address.

    Raises:
        Forbidden: another address: everybody there could read and write.
        BadInput: the port is taken, or the host is no address.
    """
    try:
        is_loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        raise BadInput(f"host '{host}' is not an IP address; give 127.0.0.1") from None
    if not is_loopback:
        raise Forbidden(
            f"host {host} can be reached from other machines, and there is no access control yet;"
            " listen on 127.0.0.1 and put an authenticating proxy in front"
        )
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
    except OSError as taken:
        raise BadInput(f"port {port} of {host} cannot be listened on: {taken.strerror}; give another --port") from None


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


def _worker(settings: Settings, log: SealingLog, keys: SqlKeyRing, site: Site) -> FusionWorker:
    return FusionWorker(
        log,
        keys,
        Fold(site),
        worker_id=f"{socket.gethostname()}-{secrets.token_hex(3)}",
        batch_size=settings.fold_batch,
        snapshot_every=settings.snapshot_every,
        tick_interval_s=settings.tick_interval_s,
    )
