"""``twin doctor``: whether this machine, these settings, these sites and this log can serve, each with what to do if not."""

from __future__ import annotations

import asyncio
import resource
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Container, Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx2
from msgspec import DecodeError, Struct
from sqlalchemy.exc import DBAPIError

from site_models.load import check_site, resolve
from twin.access.store import AccessStore
from twin.errors import BadInput, TwinError
from twin.events.codec import rfc3339
from twin.log.clock import Clock
from twin.log.port import Log
from twin.log.sql.dialect import OLDEST_SQLITE, locate
from twin.opened_logs import opened_logs
from twin.process import is_loopback, listen
from twin.settings import Settings
from twin.settings_check import setting_faults
from twin.site_versions import versions_in

Verdict = Literal["ok", "warn", "fail"]

LEAST_FREE_BYTES = 2_000_000_000
LEAST_FILES = 4_096
_CONNECT_S = 3.0
_AHEAD_US = 5_000_000
_PARTS = (
    ("pictures at the edge", ("cv2", "av", "trackers"), "edge"),
    ("a runtime for models", ("onnxruntime",), "edge"),
    ("image search", ("qdrant_edge", "cv2", "PIL"), "search"),
    ("observations in a broker", ("aiokafka",), "kafka"),
    ("PostgreSQL", ("psycopg",), "postgres"),
    ("compiled inner loops", ("numba",), ""),
)


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at; ``words`` say what was found and, where it is not well, what to do."""

    name: str
    verdict: Verdict
    words: str


async def examine(settings: Settings, sites: Sequence[str], clock: Clock) -> AsyncGenerator[Finding, None]:
    """Look at everything, one finding after the other; nothing is changed.

    Args:
        sites: folders or names of sites; none: only what does not need one.
    """
    for finding in machine(settings):
        yield finding
    for name in sites:
        yield _site(name)
        if (finding := _map_in_force(settings, name)) is not None:
            yield finding
    faults = dict(setting_faults(settings))
    for variable, wrong in faults.items():
        yield Finding(name=variable, verdict="fail", words=str(wrong))
    for finding in _neighbours(settings, faults):
        yield finding
    if settings.has_keys or "TWIN_HOST" not in faults:
        yield _access(settings)
    if "TWIN_DATABASE_URL" not in faults:
        async for finding in _log(settings, clock):
            yield finding
    if "TWIN_HOST" not in faults:
        yield await _service(settings)


def machine(settings: Settings) -> Iterator[Finding]:
    """Python, SQLite, packages, disk and limits."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield _judged("python", sys.version_info >= (3, 11), f"{version}", "this release needs Python 3.11 or newer")
    oldest = ".".join(map(str, OLDEST_SQLITE))
    is_fit = sqlite3.sqlite_version_info >= OLDEST_SQLITE
    yield _judged("sqlite", is_fit, sqlite3.sqlite_version, f"the log needs {oldest} or newer; use another Python")
    for what, modules, extra in _PARTS:
        missing = [name for name in modules if find_spec(name) is None]
        hint = f"pip install 'spatial-twin[{extra}]'" if extra else "pip install numba"
        words = f"without it there is none: {', '.join(missing)} is not installed ({hint})" if missing else "installed"
        yield Finding(name=what, verdict="warn" if missing else "ok", words=words)
    yield _folder(settings.data_dir)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    words = f"{soft} files and connections at once"
    yield _judged("open files", soft >= LEAST_FILES, words, f"raise it to {LEAST_FILES} with `ulimit -n`", bad="warn")


def _folder(folder: Path) -> Finding:
    existing = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not existing.is_dir():
        return Finding(name="data folder", verdict="fail", words=f"'{existing}' is no folder; give another --data-dir")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as wrong:
        words = f"'{existing}' cannot be written to: {wrong.strerror}; change its owner or give another --data-dir"
        return Finding(name="data folder", verdict="fail", words=words)
    free = shutil.disk_usage(existing).free
    words = f"'{folder}', {free / 1e9:.1f} GB free"
    return _judged("data folder", free >= LEAST_FREE_BYTES, words, "less than 2 GB is soon full; a full disk ends the service")


def _site(name: str) -> Finding:
    try:
        site, faults = check_site(resolve(name))
    except TwinError as wrong:
        return Finding(name=f"site {name}", verdict="fail", words=str(wrong))
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        words = f"{next(iter(faults))}{more}; `twin site check {name}` has all"
        return Finding(name=f"site {name}", verdict="fail", words=words)
    assert site is not None
    words = f"sound: {len(site.cameras)} cameras, {len(site.stalls)} stalls, {len(site.portals)} portals"
    if not any(portal.role == "boundary" for portal in site.portals):
        words = f"{words}; none of the portals is a boundary, so there are no stays to bill"
        return Finding(name=f"site {name}", verdict="warn", words=words)
    return Finding(name=f"site {name}", verdict="ok", words=words)


def _map_in_force(settings: Settings, name: str) -> Finding | None:
    """Whether a map that was saved in the editor waits for a start with it; None where there is no such site."""
    try:
        site, faults = check_site(resolve(name))
    except TwinError:
        return None
    if faults or site is None:
        return None
    try:
        standing = versions_in(settings.data_dir, site.name).standing(site)
    except (OSError, DecodeError) as wrong:
        words = f"its saved versions in '{settings.data_dir / 'sites'}' cannot be read: {wrong}"
        return Finding(name=f"map of {site.name}", verdict="warn", words=words)
    return Finding(name=f"map of {site.name}", verdict="ok" if standing.is_newest else "warn", words=standing.words)


def _neighbours(settings: Settings, faults: Container[str]) -> Iterator[Finding]:
    """Servers that the settings name: whether anything listens there.

    Args:
        faults: variables that cannot be read.
    """
    for broker in (settings.kafka_brokers or "").split(","):
        if broker:
            host, colon, port = broker.strip().rpartition(":")
            host, port = (host, port) if colon else (port, "")
            yield _listening("broker", host, int(port) if port.isdigit() else 9092, "TWIN_KAFKA_BROKERS")
    if settings.database_url is not None and "TWIN_DATABASE_URL" not in faults:
        database = locate(settings.database_url)
        if database.get_backend_name() == "postgresql" and database.host:  # without one: a socket file, which `_log` opens
            yield _listening("database server", database.host, database.port or 5432, "TWIN_DATABASE_URL")
    if settings.qdrant_url is not None and "TWIN_QDRANT_URL" not in faults:
        search = urlsplit(settings.qdrant_url)
        yield _listening("search server", search.hostname or "", search.port or 6333, "TWIN_QDRANT_URL")


def _listening(name: str, host: str, port: int, setting: str) -> Finding:
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as wrong:
        words = f"nothing answers at {host}:{port} ({wrong.strerror or wrong}); start it, or correct {setting}"
        return Finding(name=name, verdict="fail", words=words)
    return Finding(name=name, verdict="ok", words=f"{host}:{port} answers")


def _access(settings: Settings) -> Finding:
    """Whether whoever can reach the service has to show a key, and whether there is one."""
    if not settings.has_keys:
        words = "open to every program on this machine; TWIN_ACCESS=keys asks for keys"
        advice = f"{settings.host} can be reached from others, and is refused without keys"
        return _judged("access", is_loopback(settings.host), words, advice)
    try:
        place = settings.access_location
        if isinstance(place, Path) and not place.exists():
            n_keys = 0
        else:
            with closing(AccessStore.open(place)) as store:
                n_keys = len(store.standing_keys())
    except TwinError as wrong:
        return Finding(name="access", verdict="fail", words=str(wrong))
    return _judged("access", n_keys > 0, f"{n_keys} keys stand", "`twin key create` makes one", bad="warn")


async def _log(settings: Settings, clock: Clock) -> AsyncIterator[Finding]:
    place = locate(settings.log_location)
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").exists():
        yield Finding(name="log", verdict="ok", words="there is none yet; the first `twin serve` makes it")
        return
    try:
        async with opened_logs(settings, read_only=True) as logs:
            faults = await logs.sql.file_faults()
            words = faults[0] if faults else "can be read, its schema is this release's, and its file is whole"
            advice = "keep a copy, and restore a backup into a new --data-dir with `twin restore`"
            yield _judged("log", not faults, words, advice)
            async for finding in _sites_of(logs.log, clock):
                yield finding
    except (TwinError, OSError, DBAPIError) as wrong:
        yield Finding(name="log", verdict="fail", words=str(wrong).splitlines()[0])


async def _sites_of(log: Log, clock: Clock) -> AsyncIterator[Finding]:
    for site in await log.sites():
        heads, name = await log.heads(site), f"log of {site}"
        n_waiting = heads.observations - heads.cursor
        words = f"{heads.observations} observations, {heads.facts} facts, {n_waiting} observations to fold"
        last = await log.observations(site, after=heads.observations - 1, limit=1) if heads.observations else []
        if last and last[-1].recorded_at > clock() + _AHEAD_US:
            words = f"{words}; the last was recorded at {rfc3339(last[-1].recorded_at)}, which is still to come"
            yield Finding(name=name, verdict="warn", words=f"{words}: this machine's clock was set back; see that it is right")
            continue
        yield Finding(name=name, verdict="ok", words=words)


async def _service(settings: Settings) -> Finding:
    """What answers at the address that ``twin serve`` would take."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}"
    try:
        listen(settings.host, settings.port, has_keys=True).close()  # whether it may be, `_access` says
        return Finding(name="service", verdict="ok", words=f"none runs at {url}; its port is free")
    except BadInput as wrong:
        refused = wrong
    try:
        async with httpx2.AsyncClient(timeout=_CONNECT_S, trust_env=False) as http:
            answer = await http.get(f"{url}/readyz")
            checks = answer.json()["checks"]
    except (httpx2.ConnectError, httpx2.ConnectTimeout):
        return Finding(name="service", verdict="fail", words=str(refused))
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        words = f"something else, or a service that hangs, is at {url}; give another --port, or stop it"
        return Finding(name="service", verdict="fail", words=words)
    wrong = [f"{name}: {said}" for name, said in checks.items() if said != "ok"]
    return _judged("service", not wrong, f"runs at {url}" + "".join(f"; {one}" for one in wrong), "see its log")


def _judged(name: str, is_well: bool, words: str, advice: str, *, bad: Verdict = "fail") -> Finding:
    return Finding(name=name, verdict="ok" if is_well else bad, words=words if is_well else f"{words}; {advice}")


def examined(settings: Settings, sites: Sequence[str], clock: Clock) -> Iterator[Finding]:
    """``examine`` for those who do not await: each finding as soon as it is there."""
    with asyncio.Runner() as runner:
        findings = examine(settings, sites, clock)
        try:
            while (finding := runner.run(_next(findings))) is not None:
                yield finding
        finally:
            runner.run(findings.aclose())


async def _next(findings: AsyncGenerator[Finding, None]) -> Finding | None:
    return await anext(findings, None)
