"""A bare uvicorn, with its own WebSocket protocol and settings; nothing is compressed, as nothing is asked to be."""

from __future__ import annotations

import uvicorn

from . import bare


def main(port: str, *_: str) -> None:
    """Serve until a signal."""
    config = uvicorn.Config(bare.app, port=int(port), ws="websockets-sansio", lifespan="off", log_level="error", backlog=4096)
    uvicorn.Server(config).run()
