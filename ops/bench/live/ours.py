"""Our live feed as the service has it: a log on SQLite, a hub that follows it, the whole application on uvicorn.

No cameras are fused beside it: their facts are made here, and committed as the fold would.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from ops.bench.served import serve
from twin.feeds.hub import Hub, Limits
from twin.log.port import FoldCommit, Log

from . import bare
from .workload import N_VEHICLES, confirmed, frame, moved, site


def main(port: str, folder: str, hz: str, moving: str) -> None:
    """Serve until a signal."""
    data, limits = Path(folder), Limits(period_s=1 / float(hz), n_clients=20_000)
    data.mkdir()
    asyncio.run(serve(int(port), data, site(), lambda log, hub: _feed(log, hub, float(hz), int(moving)), limits))


async def _feed(log: Log, hub: Hub, hz: float, moving: int) -> None:
    """Commit some movements at each tick, while somebody watches; write down when each is published."""
    _note(hub)
    where, loop = site(), asyncio.get_running_loop()
    token = await log.acquire(where.name, "bench")
    await log.append([frame(where, "made", n + 1) for n in range(N_VEHICLES)])
    await log.commit(FoldCommit(token=token, after=0, cursor=N_VEHICLES, facts=tuple(confirmed(where))))
    cursor, next_s, tick = N_VEHICLES, loop.time(), 0
    while True:
        next_s = max(next_s + 1 / hz, loop.time())
        await asyncio.sleep(next_s - loop.time())
        if not hub.n_clients:
            continue
        tick += 1
        await log.append([frame(where, "made", N_VEHICLES + tick)])
        head = (await log.heads(where.name)).observations
        await log.commit(FoldCommit(token=token, after=cursor, cursor=head, facts=tuple(moved(where, tick, hz, moving))))
        cursor = head


def _note(hub: Hub) -> None:
    """Write down when each delta was published."""
    publish = hub.publish

    def noted() -> None:
        seq, started_s = hub.seq, time.monotonic()
        publish()
        if hub.seq != seq:
            bare.note(hub.seq, started_s)

    hub.publish = noted
