"""Many clients in one process that does nothing else: connects them, and notes which message each got when.

Plain sockets on epoll, since what clients cost is taken from the same machine: a client library's would hide the server's.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from pathlib import Path

import numpy as np

_REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_AT_ONCE = 100
_PATIENCE_S = 120.0


class Watcher:
    """One client.

    Attributes:
        seq: of the last delta; 0 before the first.
        n_gaps: deltas that did not follow the one before.
    """

    __slots__ = ("buffer", "is_open", "n_gaps", "seq", "socket")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.buffer = b""
        self.is_open = False
        self.seq = 0
        self.n_gaps = 0

    def take(self, said: bytes) -> list[int]:
        """Sequence numbers of the deltas in what was received; pings are answered."""
        self.buffer = said if not self.buffer else self.buffer + said
        if not self.is_open:
            if b"\r\n\r\n" not in self.buffer:
                return []
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            if b" 101 " not in head.split(b"\r\n")[0]:
                raise ConnectionError(head.decode(errors="replace"))
            self.is_open = True
        found: list[int] = []
        while (whole := _frame(self.buffer)) is not None:
            code, body, self.buffer = whole
            if code == 0x9:
                self.socket.send(b"\x8a" + bytes([0x80 | len(body)]) + b"\0\0\0\0" + body)
            elif code == 0x8:
                raise ConnectionError(f"closed with {int.from_bytes(body[:2], 'big')}")
            elif body.startswith(b'{"type":"delta"'):
                found.append(self._delta(body))
        return found

    def _delta(self, body: bytes) -> int:
        begin = body.index(b'"seq":') + 6
        seq = int(body[begin : body.index(b",", begin)])
        self.n_gaps += self.seq != 0 and seq != self.seq + 1
        self.seq = seq
        return seq


def main(port: str, path: str, n_clients: str, seconds: str, out: str) -> None:
    """Connect, say ``ready``, watch for some seconds, and save (seq, time, number of client) of each delta."""
    poll = select.epoll()
    watchers = _connected(int(port), path, int(n_clients), poll)
    print("ready", flush=True)
    rows: list[tuple[int, float]] = []
    until_s, begin_s = time.monotonic() + float(seconds), os.times()
    while (left_s := until_s - time.monotonic()) > 0:
        for number, _ in poll.poll(left_s, 64):
            watcher = watchers[number]
            for seq in watcher.take(watcher.socket.recv(262_144)):
                rows.append((seq, time.monotonic()))
    end_s = os.times()
    np.savez(
        Path(out),
        rows=np.array(rows, dtype=np.float64).reshape(-1, 2),
        n_gaps=sum(one.n_gaps for one in watchers.values()),
        cpu_s=end_s.user + end_s.system - begin_s.user - begin_s.system,
    )
    for one in watchers.values():
        one.socket.close()


def _connected(port: int, path: str, n_clients: int, poll: select.epoll) -> dict[int, Watcher]:
    watchers: dict[int, Watcher] = {}
    request, until_s = _REQUEST.format(path=path, port=port).encode(), time.monotonic() + _PATIENCE_S
    while len(watchers) < n_clients:
        for _ in range(min(_AT_ONCE, n_clients - len(watchers))):
            connected = socket.create_connection(("127.0.0.1", port), timeout=10)
            connected.sendall(request)
            connected.setblocking(False)
            watchers[connected.fileno()] = Watcher(connected)
            poll.register(connected.fileno(), select.EPOLLIN)
        while not all(one.is_open for one in watchers.values()):
            if time.monotonic() > until_s:
                raise TimeoutError(f"{sum(one.is_open for one in watchers.values())} of {n_clients} clients were let in")
            for number, _ in poll.poll(1.0, 256):
                watchers[number].take(watchers[number].socket.recv(262_144))
    return watchers


def _frame(buffer: bytes) -> tuple[int, bytes, bytes] | None:
    """(opcode, body, rest) of the first whole frame from a server."""
    if len(buffer) < 2:
        return None
    length, begin = buffer[1], 2
    if length >= 126:
        begin = 4 if length == 126 else 10
        if len(buffer) < begin:
            return None
        length = int.from_bytes(buffer[2:begin], "big")
    end = begin + length
    return None if len(buffer) < end else (buffer[0] & 0x0F, buffer[begin:end], buffer[end:])


if __name__ == "__main__":
    main(*sys.argv[1:])
