"""The same payload from a bare ASGI application: what a feed costs that has neither state, nor resume, nor filters.

As such applications are mostly written: a queue for each client, and a task that sends what is in it. With ``loop`` the
publisher awaits each client's send in turn instead, which costs least on uvicorn, and lets one client hold up all. It knows
nothing of this package, as granian's worker imports it by name.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

HEAD, TAIL = Path(os.environ["BENCH_LIVE_PAYLOAD"]).read_text().split("SEQ") if "BENCH_LIVE_PAYLOAD" in os.environ else ("", "")
HZ = float(os.environ.get("BENCH_LIVE_HZ", "10"))
TIMES = os.environ.get("BENCH_LIVE_TIMES", os.devnull)
IS_LOOP = os.environ.get("BENCH_LIVE_LOOP") == "1"

queues: set[asyncio.Queue[str | None]] = set()
sends: dict[int, Any] = {}
publishing: list[asyncio.Task[None]] = []


async def publish() -> None:
    """Give every client the next message, HZ times a second, while there are clients."""
    loop, seq = asyncio.get_running_loop(), 0
    next_s = loop.time()
    while True:
        next_s = max(next_s + 1 / HZ, loop.time())
        await asyncio.sleep(next_s - loop.time())
        if not sends:
            continue
        seq += 1
        started_s = time.monotonic()
        text = f"{HEAD}{seq}{TAIL}"
        if IS_LOOP:
            message = {"type": "websocket.send", "text": text}
            for send in list(sends.values()):
                with suppress(Exception):  # each server has its own error for a client that is gone
                    await send(message)
        for queue in queues:
            queue.put_nowait(text)
        note(seq, started_s)


def note(seq: int, started_s: float) -> None:
    """Write down when a message was published."""
    with open(TIMES, "a") as times:
        times.write(f"{seq} {started_s}\n")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """One client, or anything else, which is refused."""
    if scope["type"] != "websocket":
        return
    if not publishing:
        publishing.append(asyncio.create_task(publish()))
    await receive()
    await send({"type": "websocket.accept"})
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    leaving = asyncio.create_task(leave(receive, queue))
    sends[id(queue)] = send
    if not IS_LOOP:
        queues.add(queue)
    try:
        while (text := await queue.get()) is not None:
            await send({"type": "websocket.send", "text": text})
    except Exception:
        pass
    finally:
        del sends[id(queue)]
        queues.discard(queue)
        leaving.cancel()


async def leave(receive: Any, queue: asyncio.Queue[str | None]) -> None:
    """Wait for the client to go."""
    while (await receive())["type"] != "websocket.disconnect":
        pass
    queue.put_nowait(None)
