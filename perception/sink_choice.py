"""Where observations and pictures go, as the command line says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from perception.crossings import Crossings
from perception.pictures import PictureSender
from perception.sender import Sender
from perception.sinks import FileSink, Sink, SpoolSink
from perception.spool import Spool
from perception.worker import Look
from site_models.schema import Site, SiteId
from twin.client_key import client_key
from twin.errors import BadInput, TwinError
from twin.events.ids import DeviceId
from twin.events.observations import Observation


@contextmanager
def looking(site: Site, log: str | None, longest_px: int) -> Iterator[Look]:
    """Where pictures go: to the service at ``log``, or nowhere."""
    if log is None:
        yield lambda frame, boxes: None
        return
    with PictureSender(log, site.name, key=client_key(os.environ), longest_px=longest_px) as pictures:
        yield pictures.offer


@contextmanager
def sink_of(
    site: Site, out: Path | None, log: str | None, spool: Path, spool_mb: int, drain_s: float, device: str
) -> Iterator[Sink]:
    """Where observations go: into a file, or to a service; raises BadInput unless it is one of them."""
    if (out is None) == (log is None):
        raise BadInput("give either --out FILE or --log URL" + (", not both" if out is not None else ""))
    if out is not None:
        sink: Sink = FileSink(out, site=site.name, device=DeviceId(device))
    else:
        sink = spool_sink(site.name, log or "", spool, spool_mb, drain_s, device, Crossings(site))
    try:
        yield sink
    finally:
        sink.close()


def spool_sink(
    site: SiteId,
    log: str,
    folder: Path,
    spool_mb: int,
    drain_s: float,
    device: str,
    is_crossing: Callable[[Observation], bool] = lambda _: False,
) -> SpoolSink:
    """A spool in front of a service; raises as ``Spool`` and ``Sender``."""
    spool = Spool(folder, site=site, device=DeviceId(device), max_bytes=spool_mb << 20, is_crossing=is_crossing)
    try:
        sender = Sender(spool, url=log, site=site, key=client_key(os.environ))
    except TwinError:
        spool.close()
        raise
    return SpoolSink(spool, sender, drain_s=drain_s)
