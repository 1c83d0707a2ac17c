"""What clients that never read do to ingest: the same requests, at the same rate, with and without them, in turns."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from .server import CODE, Server
from .workload import Sizes, frame_body, site

_MOVING = 20  # so that a stalled client is full within seconds
_WATCHERS = 20  # that do read, in both arms
_PER_S = 50
MOST_MORE, MOST_MORE_MS = 0.10, 2.0


def measured(wanted: Sizes, repeats: int) -> dict[str, Any]:
    """Milliseconds of an append over HTTP, and the service's memory."""
    took: dict[bool, list[float]] = {False: [], True: []}
    memory_mb: dict[bool, list[float]] = {False: [], True: []}
    n_back = 0
    with tempfile.TemporaryDirectory(prefix="bench-live-") as folder:
        server = Server("ours", Path(folder), wanted.hz, _MOVING)
        try:
            with _Beside("watchers", server, _WATCHERS, str(3600), str(Path(folder) / "unused.npz")):
                _append(server, 1.0, "warm-up")
                for number in range(repeats):
                    for is_stalled in (False, True) if number % 2 == 0 else (True, False):
                        beside = _Beside("stalled", server, wanted.stalled) if is_stalled else None
                        time.sleep(3.0)  # until they are full
                        seen = _append(server, wanted.seconds, f"bench-{number}-{int(is_stalled)}")
                        took[is_stalled] += seen[0]
                        memory_mb[is_stalled].append(seen[1])
                        n_back += 0 if beside is None else beside.end()
        finally:
            server.end()
    return _told(took, memory_mb) | {"n_came_back": n_back}


class _Beside:
    """Clients in a process of their own."""

    def __init__(self, module: str, server: Server, n_clients: int, *more: str) -> None:
        given = (str(server.port), server.path, str(n_clients), *more)
        code = CODE.format(path=sys.path) + f" from bench_live.{module} import main; main(*sys.argv[1:])"
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([sys.executable, "-c", code, *given], stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError(f"clients could not connect; what the server said is {server.said()}")

    def end(self) -> int:
        """Let them go; how often one came back."""
        said, _ = self._process.communicate(timeout=30)
        return int(said or 0)

    def __enter__(self) -> _Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _append(server: Server, seconds: float, device: str) -> tuple[list[float], float]:
    """Milliseconds of each request, sent when it is due; and the most memory seen."""
    where, took_ms, most_mb = site(), list[float](), 0.0
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its head and body are two writes
    begin_s = time.monotonic()
    for n in range(max(20, round(seconds * _PER_S))):
        time.sleep(max(0.0, begin_s + n / _PER_S - time.monotonic()))
        started_s = time.monotonic()
        connection.request("POST", f"/v1/sites/{where.name}/observations", frame_body(where, device, n + 1))
        answer = connection.getresponse()
        said = answer.read()
        took_ms.append((time.monotonic() - started_s) * 1_000)
        if answer.status != 200:
            raise RuntimeError(f"ingest answered {answer.status}: {said[:200]!r}")
        if n % _PER_S == 0:
            most_mb = max(most_mb, server.resident_mb())
    connection.close()
    return took_ms, most_mb


def _told(took: dict[bool, list[float]], memory_mb: dict[bool, list[float]]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, is_stalled in (("without", False), ("with", True)):
        p50, p99 = (round(float(one), 2) for one in np.percentile(took[is_stalled], (50, 99)))
        mb = max(memory_mb[True]) if is_stalled else memory_mb[False][0]  # the first turn is without
        told[name] = {"p50_ms": p50, "p99_ms": p99, "n": len(took[is_stalled]), "memory_mb": round(mb)}
    more_ms = told["with"]["p99_ms"] - told["without"]["p99_ms"]
    is_met = more_ms <= max(MOST_MORE_MS, MOST_MORE * told["without"]["p99_ms"])
    return told | {"p99_more_ms": round(more_ms, 2), "is_met": is_met}
