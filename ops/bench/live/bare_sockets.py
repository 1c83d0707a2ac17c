"""The floor: a handshake, then one ``send`` a client and message, in a row. There is no server in it."""

from __future__ import annotations

import base64
import hashlib
import selectors
import socket
import time
from contextlib import suppress

from . import bare

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def main(port: str, *_: str) -> None:
    """Serve until a signal."""
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=4096)
    listener.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    clients: set[socket.socket] = set()
    next_s, seq = time.monotonic(), 0
    while True:
        for key, _events in selector.select(max(0.0, next_s - time.monotonic())):
            _hear(key.fileobj, listener, selector, clients)
        if time.monotonic() < next_s:
            continue
        next_s = max(next_s + 1 / bare.HZ, time.monotonic())
        if clients:
            seq += 1
            started_s = time.monotonic()
            frame = _framed(f"{bare.HEAD}{seq}{bare.TAIL}".encode())
            for client in clients:
                with suppress(OSError):  # full or gone: no concern of the floor's
                    client.send(frame)
            bare.note(seq, started_s)


def _hear(one: object, listener: socket.socket, selector: selectors.DefaultSelector, clients: set[socket.socket]) -> None:
    assert isinstance(one, socket.socket)
    if one is listener:
        client, _ = listener.accept()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(client, selectors.EVENT_READ)
        return
    try:
        said = one.recv(65_536)
    except OSError:
        said = b""
    if not said:
        selector.unregister(one)
        clients.discard(one)
        one.close()
    elif said.startswith(b"GET"):
        key = said.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        one.send(head + accept + b"\r\n\r\n")
        clients.add(one)


def _framed(body: bytes) -> bytes:
    return b"\x81\x7e" + len(body).to_bytes(2, "big") + body
