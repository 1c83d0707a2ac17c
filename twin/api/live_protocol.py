"""How uvicorn speaks WebSocket here: its own protocol, with a way for the live feed to write one frame to many connections.

An application's message costs uvicorn a task's turn, an encoding and a frame a client. The live feed has the frame already:
by ``FRAMES`` among the extensions of a connection's scope it puts it straight into the transport, as long as that is not full.
A connection that its client does not read is aborted in the end: closing one waits until all was read, which may be never.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio.transports import BaseTransport
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

FRAMES = "twin.frames"
SEND_BUFFER_BYTES = 65_536  # in the kernel, which doubles it; by itself it takes megabytes, in which a stalled client hides
WRITE_BUFFER_BYTES = 32_768  # in the process, from which on a connection has no room
ABORT_S = 5.0  # from the end of a connection's application until what was not read is dropped
PING_S, PONG_S = 20.0, 20.0  # a peer that vanished is noticed within both together
MOST_BYTES = 4_096  # of a client's message, which is of no interest
_NO_LINGER = struct.pack("ii", 1, 0)


class LiveProtocol(WebSocketsSansIOProtocol):
    """One connection."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Bound what waits to be read."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._abort_timer: asyncio.TimerHandle | None = None
        connected: socket.socket | None = transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def handle_connect(self, event: Request) -> None:
        """Offer the application to write frames."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[str, Any] = self.scope["extensions"]  # type: ignore[assignment]
            extensions[FRAMES] = self.write_frame

    def write_frame(self, frame: bytes) -> bool:
        """Put a whole frame on an accepted connection; False where it has no room, is closing, or compresses what it sends."""
        if not self.writable.is_set() or self.close_sent or self.conn.extensions or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def keepalive_timeout(self) -> None:
        """Nobody is there to read what is buffered."""
        super().keepalive_timeout()
        self.drop()

    def drop(self) -> None:
        """End the connection at once, and what waits in the kernel with it, where it would wait for minutes."""
        connected: socket.socket | None = self.transport.get_extra_info("socket")
        if connected is not None and not self.disconnected:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """The application is done; the client has a while to read the rest."""
        super().on_task_complete(task)
        if not self.disconnected:
            self._abort_timer = self.loop.call_later(ABORT_S, self.drop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to abort."""
        super().connection_lost(exc)
        if self._abort_timer is not None:
            self._abort_timer.cancel()


WEBSOCKETS: dict[str, Any] = {
    "ws": LiveProtocol,
    "ws_max_size": MOST_BYTES,
    "ws_ping_interval": PING_S,
    "ws_ping_timeout": PONG_S,
    "ws_per_message_deflate": False,
}
"""What ``uvicorn.Config`` is given for WebSockets."""
