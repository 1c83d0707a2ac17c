"""The maps that a log's facts were concluded with, kept and read by whoever opens the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from site_models.schema import Site
from twin.log.sql.site_maps import KeptMap, SqlSiteMaps
from twin.opened_logs import Logs
from twin.projections.timeline import EarlierMap

_logger = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(Site).decode


async def begin(logs: Logs, site: Site, head: int) -> None:
    """Have a map in force after the last fact of now: for who took the site over, before it concludes anything with it."""
    await SqlSiteMaps(logs.sql).begin(site.name, _encoded(site), after=head)


async def known(logs: Logs, site: Site) -> tuple[EarlierMap, ...]:
    """The maps of the facts that are there, other than the one that a process goes on with."""
    return _earlier(await SqlSiteMaps(logs.sql).all(site.name), site, (await logs.sql.heads(site.name)).facts)


def _encoded(site: Site) -> bytes:
    return msgspec.msgpack.encode(site, order="deterministic")


def _earlier(maps: Sequence[KeptMap], present: Site, head: int) -> tuple[EarlierMap, ...]:
    ends = [*(one.after for one in maps[1:]), head][: len(maps)]
    own, found = _encoded(present), list[EarlierMap]()
    for number, (one, until) in enumerate(zip(maps, ends, strict=True), 1):
        is_present = one.body == own
        if is_present and number == len(maps):
            continue
        try:
            found.append(EarlierMap(until=until, site=present if is_present else _decode(one.body)))
        except (msgspec.DecodeError, msgspec.ValidationError) as wrong:
            _logger.warning(
                "site '%s': the map of facts %d to %d cannot be read by this release (%s); the present one stands for it",
                present.name,
                one.after + 1,
                until,
                wrong,
            )
            found.append(EarlierMap(until=until, site=present))
    return tuple(found)
