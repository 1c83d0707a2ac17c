"""A bare granian with one worker and one runtime thread, and room for all clients."""

from __future__ import annotations

from granian.constants import Interfaces, Loops  # pyright: ignore[reportMissingImports]
from granian.server import Server  # pyright: ignore[reportMissingImports]


def main(port: str, *_: str) -> None:
    """Serve until a signal."""
    Server(
        "ops.bench.live.bare:app",
        port=int(port),
        interface=Interfaces.ASGINL,
        workers=1,
        loop=Loops.asyncio,
        backlog=4096,
        backpressure=65_536,
        log_enabled=False,
    ).serve()
