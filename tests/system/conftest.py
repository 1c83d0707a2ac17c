"""Real processes: the service and a simulated edge worker, as a user starts them."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Processes:
    """Starts commands of this project and ends whatever is left."""

    folder: Path
    started: list[subprocess.Popen] = field(default_factory=list)

    def spawn(self, *words: str, name: str, under: tuple[str, ...] = (), cwd: Path = ROOT) -> subprocess.Popen:
        with (self.folder / f"{name}.err").open("ab") as errors, (self.folder / f"{name}.out").open("wb") as out:
            command = [*under, sys.executable, "-m", *words]
            environ = {**os.environ, "PYTHONWARNINGS": "", "PYTHONPATH": str(ROOT)}
            process = subprocess.Popen(command, stdout=out, stderr=errors, cwd=cwd, env=environ)
        self.started.append(process)
        return process

    def command(self, *words: str, expect: int = 0) -> str:
        done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, cwd=ROOT, timeout=240)
        assert done.returncode == expect, f"{' '.join(words)} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def output(self, name: str) -> dict:
        return json.loads((self.folder / f"{name}.out").read_text().strip().splitlines()[-1])

    def errors(self, name: str) -> str:
        return (self.folder / f"{name}.err").read_text()

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def processes(tmp_path):
    running = Processes(tmp_path)
    yield running
    running.close()


@pytest.fixture
def port():
    return free_port()


def until_healthy(url: str, process: subprocess.Popen, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, f"the service ended with {process.returncode}"
        try:
            if httpx2.get(f"{url}/healthz", timeout=2).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} was not healthy within {seconds} s")


@pytest.fixture
def wait_healthy():
    return until_healthy


@pytest.fixture(scope="session")
def lived_in(tmp_path_factory):
    """The address of a service whose site had traffic: stays, stalls, money, views to search, and a subscription."""
    folder = tmp_path_factory.mktemp("lived-in")
    running = Processes(folder)
    var = ("--data-dir", str(folder / "var"))
    running.command("twin.cli", "demo", "--simulated", "--for", "45", "--port", "0", *var)
    port = str(free_port())
    service = running.spawn("twin.cli", "serve", "--site", "demo_lot", "--port", port, *var, name="service")
    url = f"http://127.0.0.1:{port}"
    try:
        until_healthy(url, service)
        with httpx2.Client(base_url=f"{url}/v1/sites/demo_lot", timeout=60) as http:
            assert http.get("/sessions").json()["sessions"]
            http.put("/subscriptions/lived-in", json={"after": "0"}).raise_for_status()
        yield url
        assert service.poll() is None, running.errors("service")
    finally:
        running.close()
