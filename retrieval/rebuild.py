"""Builds a site's index again from its log, beside the one that is there, and puts it in its place when it is complete."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from retrieval.folder import FolderLock, beside, settle, swap
from retrieval.ingest import IndexFollower
from retrieval.qdrant import QdrantIndex
from twin.events.ids import SiteId
from twin.log.keys import KeyRing
from twin.log.port import Log


class Rebuilt(Struct, frozen=True, kw_only=True):
    """What the new index holds.

    Attributes:
        cursor: the log's head when it was begun.
        after: views up to this position were cut from the log, and are not in it any more.
    """

    site: SiteId
    points: int
    cursor: int
    after: int


async def rebuild(
    log: Log, keys: KeyRing, folder: Path, site: SiteId, told: Callable[[int, int], None] = lambda done, of: None
) -> Rebuilt:
    """Build the index in a folder anew; a crash leaves the old one, or the new one, whole.

    Raises:
        Conflict: a service has the index open.
        QuotaExceeded: there is no room for both.
    """
    lock = await asyncio.to_thread(FolderLock, folder)
    try:
        await asyncio.to_thread(settle, folder)
        fresh = await QdrantIndex.open(beside(folder))
        try:
            head, after = (await log.heads(site)).observations, (await log.cuts(site)).observations
            await IndexFollower(log, keys, fresh, site).catch_up(head, told)
            made = Rebuilt(site=site, points=await fresh.count(), cursor=await fresh.cursor(), after=after)
        except BaseException:
            await fresh.aclose()
            await asyncio.to_thread(shutil.rmtree, beside(folder), ignore_errors=True)
            raise
        await fresh.aclose()
        await asyncio.to_thread(swap, folder)
        return made
    finally:
        lock.release()
        Path(f"{beside(folder)}.lock").unlink(missing_ok=True)
