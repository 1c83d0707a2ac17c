"""A PostgreSQL server of this machine's, started for a proof or a test in a folder of its own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STOP_S = 10.0
_START_S = 600  # recovery on a busy machine takes its time
_TOLD_CHARACTERS = 2_000
_PORTS = range(15_000, 30_000)
"""Below those that systems give to outgoing connections: while a killed server is away, none of them may take its port."""


def binaries() -> Path | None:
    """The folder of the server's programs; None where none are installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    found += [Path(path) for path in [shutil.which("postgres")] if path]
    return found[-1].parent if found else None


class Server:
    """A cluster with one superuser, "twin", who needs no password; it listens on a port of the loopback interface.

    Attributes:
        address: "host:port".
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        self._port = _free_port()
        self.address = f"127.0.0.1:{self._port}"
        self._as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as_user:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-A", "trust", "-U", "twin", "-E", "UTF8", str(self._cluster))

    @property
    def _cluster(self) -> Path:
        return self._folder / "cluster"

    def start(self) -> None:
        """Start it, also after a crash; it recovers first. Blocks until it takes connections.

        Raises:
            CalledProcessError: it does not start, with the end of its log.
        """
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        log = self._folder / "log"
        try:
            self._run("pg_ctl", "-w", "-t", str(_START_S), "-D", str(self._cluster), "-l", str(log), "-o", options, "start")
        except subprocess.CalledProcessError as failed:
            said = log.read_text(errors="replace")[-_TOLD_CHARACTERS:] if log.is_file() else "it wrote no log"
            failed.add_note(f"PostgreSQL's log ends with: {said}")
            raise

    def stop(self) -> None:
        """Stop it; what was committed stays."""
        self._run("pg_ctl", "-w", "-D", str(self._cluster), "-m", "immediate", "stop")

    def kill(self) -> None:
        """SIGKILL every process of it at once, as a crash of the machine would end them."""
        postmaster = int((self._cluster / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGSTOP)  # it would start others while its own are listed
        for process in [*_children(postmaster), postmaster]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        until_s = time.monotonic() + _STOP_S
        while Path(f"/proc/{postmaster}").exists() and time.monotonic() < until_s:
            time.sleep(0.005)

    def database(self, name: str) -> str:
        """The URL of a database of this name, made where there is none."""
        import psycopg

        with psycopg.connect(f"postgresql://twin@{self.address}/postgres", autocommit=True) as connection:
            if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
                connection.execute(f"create database {name}".encode())
        return f"postgresql://twin@{self.address}/{name}"

    def _run(self, program: str, *words: str) -> None:
        command, quiet = [*self._as_user, str(self._programs / program), *words], subprocess.DEVNULL
        subprocess.run(command, check=True, stdout=quiet, stderr=quiet, cwd=self._folder)


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """A started server, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = Server(programs, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    """A port that nobody listens on."""
    for port in random.Random(os.getpid() ^ time.monotonic_ns()).sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"every port from {_PORTS.start} to {_PORTS.stop - 1} is taken")


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
