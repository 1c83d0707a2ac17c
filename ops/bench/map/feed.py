"""Our service as it is, with its pages and live feed, on SQLite; vehicles' facts are made here and committed as the fold would.

No cameras are fused beside it: 500 vehicles that all drive would take more of the processor than a browser leaves.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from ops.bench.served import serve
from twin.feeds.hub import Hub
from twin.log.port import FoldCommit, Log

from .workload import confirmed, frame, moved, site


def main(port: str, folder: str, n_vehicles: str, hz: str) -> None:
    """Serve until a signal."""
    asyncio.run(serve(int(port), Path(folder), site(), lambda log, hub: _drive(log, hub, int(n_vehicles), float(hz))))


async def _drive(log: Log, hub: Hub, n_vehicles: int, hz: float) -> None:
    """Commit where everybody is at each tick, while somebody watches."""
    where, loop = site(), asyncio.get_running_loop()
    token = await log.acquire(where.name, "bench")
    now = time.time_ns() // 1_000
    await log.append([frame(where, n + 1, now) for n in range(n_vehicles)])
    facts = tuple(confirmed(where, n_vehicles, now))
    await log.commit(FoldCommit(token=token, after=0, cursor=n_vehicles, facts=facts))
    cursor, next_s, began_s = n_vehicles, loop.time(), loop.time()
    while True:
        next_s = max(next_s + 1 / hz, loop.time())
        await asyncio.sleep(next_s - loop.time())
        if not hub.n_clients:
            continue
        now = time.time_ns() // 1_000
        await log.append([frame(where, cursor + 1, now)])
        facts = tuple(moved(where, n_vehicles, cursor + 1, now, loop.time() - began_s))
        await log.commit(FoldCommit(token=token, after=cursor, cursor=cursor + 1, facts=facts))
        cursor += 1
