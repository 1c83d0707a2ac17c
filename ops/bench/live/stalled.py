"""Clients that ask for the feed and never read it; one that is closed comes back, and reads no more than before."""

from __future__ import annotations

import select
import socket
import sys

_REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_GONE = select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP


def main(port: str, path: str, n_clients: str) -> None:
    """Connect, say ``ready``, stay until the input ends, and say how often one came back."""
    poll, sockets, n_back = select.epoll(), dict[int, socket.socket](), 0
    request = _REQUEST.format(path=path, port=port).encode()

    def connect() -> None:
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        one.connect(("127.0.0.1", int(port)))
        one.sendall(request)
        sockets[one.fileno()] = one
        poll.register(one.fileno(), _GONE)

    for _ in range(int(n_clients)):
        connect()
    print("ready", flush=True)
    poll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
    while True:
        for number, _ in poll.poll():
            if number == sys.stdin.fileno():
                print(n_back, flush=True)
                return
            poll.unregister(number)
            sockets.pop(number).close()
            n_back += 1
            connect()
