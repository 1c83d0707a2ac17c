"""A side in a process of its own: our service's live feed, or a bare server with the same payload."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import twin

ROOT = Path(twin.__file__).resolve().parent.parent
CODE = "import sys; sys.path[:0] = {path!r}; from twin.evaluation.benches import module; module('live');"
_PATIENCE_S = 60.0
MODULES: Mapping[str, str] = {
    "ours": "ours",
    "uvicorn": "bare_uvicorn",
    "uvicorn_loop": "bare_uvicorn",
    "granian": "bare_granian",
    "sockets": "bare_sockets",
}


class Server:
    """The other end of a side's process, until ``end``.

    Attributes:
        side: its name.
        times: a file to which it writes when it published which message, by the machine's monotonic clock.
    """

    def __init__(self, side: str, folder: Path, hz: float, moving: int, payload: Path | None = None) -> None:
        self.side, self.port = side, _free_port()
        self.times = folder / f"{side}-{self.port}.times"
        self.times.touch()
        self._log = (folder / f"{side}-{self.port}.log").open("w")
        environ = {**os.environ, "BENCH_LIVE_HZ": str(hz), "BENCH_LIVE_TIMES": str(self.times), "PYTHONPATH": str(ROOT)}
        if payload is not None:
            environ["BENCH_LIVE_PAYLOAD"] = str(payload)
        if side == "uvicorn_loop":
            environ["BENCH_LIVE_LOOP"] = "1"
        given = (str(self.port), str(folder / f"{side}-{self.port}"), str(hz), str(moving))
        code = CODE.format(path=sys.path) + f" from bench_live.{MODULES[side]} import main; main(*sys.argv[1:])"
        self._process = subprocess.Popen([sys.executable, "-c", code, *given], env=environ, stdout=self._log, stderr=self._log)
        self._wait()

    @property
    def path(self) -> str:
        """Where the feed is."""
        return "/v1/sites/demo_lot/live"

    def said(self) -> str:
        """The end of what it printed."""
        return Path(self._log.name).read_text()[-2_000:]

    def cpu_s(self) -> float:
        """Processor time that it has used, with its children's that live."""
        return sum(_cpu_s(pid) for pid in self._pids())

    def resident_mb(self) -> float:
        """Memory that it holds."""
        return sum(_resident_mb(pid) for pid in self._pids())

    def published(self) -> dict[int, float]:
        """When which message was published."""
        rows = (line.split() for line in self.times.read_text().splitlines() if line.count(" ") == 1)
        return {int(seq): float(at_s) for seq, at_s in rows}

    def end(self) -> None:
        """Let it go."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            for pid in self._pids():
                os.kill(pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def _pids(self) -> list[int]:
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def _wait(self) -> None:
        until_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until_s and self._process.poll() is None:
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"a server did not start: {self.said()}")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
