"""What a row costs, stage by stage: µs of processor time, the least of many batches, so that other load shows little.

Each stage is measured by itself, by the functions that an append calls. What a whole append costs beyond them is ``rest``: the
transaction and its head row, device keys to look for, tuples, the way to the writer's thread and back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import repeat
from pathlib import Path
from typing import Any

from twin.events.codec import pack
from twin.log.chain import LINK_BYTES, observation_content
from twin.log.content import contents_of
from twin.log.port import Outcome, Receipt
from twin.log.sql import SqlLog
from twin.log.sql.packing import packed
from twin.log.sql.plain_text import texts_of

from . import raw_sqlite
from .workload import batches, event, rows

_SIZE = 100
_N_BATCHES = 200


def measure(folder: Path) -> dict[str, float]:
    """µs a row of each stage, in batches of a hundred; ``all`` is a whole append."""
    events = [event(number) for number in range(_SIZE)]
    contents = contents_of(events)
    payloads, told, link = [one.payload for one in contents], [one.payload for one in events], bytes(LINK_BYTES)
    found = {
        "msgpack": _alone(lambda: [pack(one) for one in told]),
        "content": _alone(lambda: contents_of(events)),
        "JSON text": _alone(lambda: texts_of(payloads, told)),
        "packed": _alone(lambda: packed("observations", payloads, told)),
        "link": _alone(lambda: [observation_content(link, 1, one.hash, one.subject) for one in contents]),
        "receipt": _alone(lambda: [Receipt(outcome=Outcome.STORED, position=1) for _ in events]),
        "insert, commit": _inserted(folder / "raw.db"),
        "all": asyncio.run(_appended(folder / "ours.db")),
    }
    found["check, hash"] = found.pop("content") - found["msgpack"]
    found["compress"] = found.pop("packed") - found["JSON text"]
    found["rest"] = 2 * found["all"] - sum(found.values())
    order = ("msgpack", "check, hash", "JSON text", "compress", "link", "insert, commit", "receipt", "rest", "all")
    return {name: round(found[name], 1) for name in order}


def _alone(work: Callable[[], Any]) -> float:
    return _least(lambda _: work(), repeat(None, _N_BATCHES))


def _inserted(path: Path) -> float:
    with raw_sqlite.table(path) as connection:
        return _least(lambda batch: raw_sqlite.store(connection, batch), rows(_SIZE * _N_BATCHES, _SIZE))


async def _appended(path: Path) -> float:
    log, taken = SqlLog.open(path), list[float]()
    try:
        for batch in batches(_SIZE * _N_BATCHES, _SIZE):
            start_s = time.process_time()  # of both threads
            await log.append(batch)
            taken.append(time.process_time() - start_s)
    finally:
        await log.aclose()
    return min(taken) / _SIZE * 1e6


def _least(work: Callable[[Any], Any], given: Iterable[Any]) -> float:
    taken: list[float] = []
    for one in given:
        start_s = time.thread_time()
        work(one)
        taken.append(time.thread_time() - start_s)
    return min(taken) / _SIZE * 1e6
