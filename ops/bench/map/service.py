"""The service in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import twin

_ROOT = Path(twin.__file__).resolve().parent.parent
_CODE = "import sys; sys.path[:0] = {path!r}; from twin.evaluation.benches import module; module('map');"
_PATIENCE_S = 60.0


class Service:
    """A service with vehicles that drive, until the block ends."""

    def __init__(self, folder: Path, n_vehicles: int, hz: float) -> None:
        self._port, self._said = _free_port(), folder / "service.log"
        code = _CODE.format(path=sys.path) + " from bench_map.feed import main; main(*sys.argv[1:])"
        given = (str(self._port), str(folder), str(n_vehicles), str(hz))
        environ = {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONWARNINGS": ""}
        with self._said.open("w") as said:
            command = [sys.executable, "-c", code, *given]
            self._process = subprocess.Popen(command, env=environ, stdout=said, stderr=said)

    @property
    def origin(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Service:
        until_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until_s and self._process.poll() is None:
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self
            time.sleep(0.05)
        self.__exit__()
        raise RuntimeError(f"the service did not start: {self._said.read_text()[-2_000:]}")

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
