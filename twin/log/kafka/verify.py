"""Reads a site's observations in a broker again, and tells where they are not what was folded."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from twin.errors import TwinError
from twin.events.ids import SiteId
from twin.log.kafka.broker import PartitionReader, reading
from twin.log.kafka.stream import SiteStream
from twin.log.sql import schema, streams
from twin.log.sql.streams import StreamPlace
from twin.log.sql.verify import Fault

if TYPE_CHECKING:
    from twin.log.kafka.log import KafkaLog

_PATIENCE_S = 10.0


async def verify_streamed(log: KafkaLog, site: SiteId) -> list[Fault]:
    """Faults between the places that are kept, in order; empty as well where a site has no observations in a broker."""
    places = await log.sql.read(streams.all_of, site)
    faults: list[Fault] = []
    if len(places) < 2:
        return faults
    digests = await log.sql.read(_digests, site)
    async with reading(log.topic, places[0].partition) as reader:
        for before, after in pairwise(places):
            what = await _wrong_between(reader, site, before, after, digests)
            if what is not None:
                faults.append(Fault(log="observations", first=before.position + 1, last=after.position, what=what))
    return faults


async def _wrong_between(
    reader: PartitionReader, site: SiteId, before: StreamPlace, after: StreamPlace, digests: dict[int, bytes]
) -> str | None:
    stream = SiteStream(site, before)
    try:
        await reader.seek(before.next_offset)
        async with asyncio.timeout(_PATIENCE_S) as patience:
            while stream.next_offset < after.next_offset:
                records = [one for one in await reader.some() if one.offset < after.next_offset]
                if not records:
                    break
                patience.reschedule(asyncio.get_running_loop().time() + _PATIENCE_S)
                stream.take([one for one in records if one.site == site])
                if records[-1].offset + 1 == after.next_offset:
                    break
    except TwinError as wrong:
        return str(wrong)
    except TimeoutError:
        return f"the broker has no record at offset {stream.next_offset} of partition {before.partition}"
    if stream.position != after.position:
        return f"{stream.position - before.position} observations, but {after.position - before.position} were folded"
    for cursor in sorted(one for one in digests if before.position < one <= after.position):
        if stream.committed(cursor).link.content != digests[cursor]:
            return f"the batch of facts made of the observations up to {cursor} names other ones"
    return (
        None if stream.committed(after.position).link == after.link else "the records do not give the link of what was folded"
    )


def _digests(connection: Connection, site: SiteId) -> dict[int, bytes]:
    table = schema.fact_batches.c
    rows = connection.execute(select(table.cursor, table.digest).where(table.site == site)).all()
    return {row.cursor: row.digest for row in rows}
