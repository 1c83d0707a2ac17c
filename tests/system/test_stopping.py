"""A service that is told to stop finishes what was asked of it, and says to nobody that it is there once it is not."""

import json
import signal
import threading
import time

import httpx2
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


def test_a_stop_drains_and_answers_what_waits(processes, port, wait_healthy, tmp_path, monkeypatch):
    monkeypatch.setenv("TWIN_DRAIN_S", "1.5")
    monkeypatch.setenv("TWIN_LOG_FORMAT", "json")
    url = f"http://127.0.0.1:{port}"
    words = ("twin.cli", "serve", "--site", "demo_lot", "--data-dir", str(tmp_path / "data"), "--port", str(port))
    service = processes.spawn(*words, name="service")
    wait_healthy(url, service)
    path = f"{url}/v1/sites/demo_lot/subscriptions/billing"
    httpx2.put(path, json={"types": ["session.closed.v1"]})
    answers = []
    asking = threading.Thread(target=lambda: answers.append(httpx2.post(f"{path}/lease", json={"wait_s": 60}, timeout=70)))
    asking.start()
    with connect(f"ws://127.0.0.1:{port}/v1/sites/demo_lot/live") as live:
        assert json.loads(live.recv(timeout=10))["type"] == "snapshot"
        service.send_signal(signal.SIGTERM)
        until = time.monotonic() + 10
        while (ready := httpx2.get(f"{url}/readyz")).status_code == 200:  # new connections are taken while it drains
            assert time.monotonic() < until
        assert ready.json()["checks"]["serving"] == "stopping"
        code = None
        while code is None:
            try:
                live.recv(timeout=15)
            except ConnectionClosed as closed:
                code = closed.rcvd.code
    asking.join(timeout=15)
    assert service.wait(timeout=20) == 0
    assert [(one.status_code, one.json()["deliveries"]) for one in answers] == [(200, [])]
    assert code == 1012
    assert all(json.loads(line)["level"] for line in processes.errors("service").splitlines())


def test_a_second_signal_ends_the_draining(processes, port, wait_healthy, tmp_path, monkeypatch):
    monkeypatch.setenv("TWIN_DRAIN_S", "120")
    words = ("twin.cli", "serve", "--site", "demo_lot", "--data-dir", str(tmp_path / "data"), "--port", str(port))
    service = processes.spawn(*words, name="service")
    wait_healthy(f"http://127.0.0.1:{port}", service)
    service.send_signal(signal.SIGTERM)
    while httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
        pass
    service.send_signal(signal.SIGTERM)
    assert service.wait(timeout=20) == 0
