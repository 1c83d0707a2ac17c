"""The disk of a running service fills up: it ends and says why, and goes on where it was when there is room."""

import shutil
import subprocess
import time

import httpx2
import pytest

from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import FrameObserved

NOON = 1_767_268_800_000_000
_SMALL_DISK = 'mount -t tmpfs -o size=2m none "$1" || exit 77; shift; "$@"; code=$?; cp -a "$SMALL" "$SMALL.saved"; exit $code'


def batch(first: int) -> bytes:
    """Fifty frames from this sequence on."""
    events = (
        ObservationEvent(
            site="demo_lot",
            key=DeviceKey(device="edge-1", boot_epoch=1, sequence=sequence),
            occurred_at=NOON + sequence * 100_000,
            payload=FrameObserved(camera="aisle-2", frame_px=(640, 360), detector="d" * 200, clock="ntp"),
        )
        for sequence in range(first, first + 50)
    )
    return b"".join(to_json(event) + b"\n" for event in events)


def sent_until_it_stops(url: str) -> tuple[int, list[str]]:
    """How many frames were acknowledged, and what the service said then."""
    n_stored, said = 0, []
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            answer = httpx2.post(f"{url}/v1/sites/demo_lot/observations", content=batch(n_stored + 1), timeout=10)
        except httpx2.TransportError:
            return n_stored, said
        if answer.is_success:
            assert {one["outcome"] for one in answer.json()["receipts"]} == {"stored"}
            n_stored += 50
        else:
            assert answer.status_code == 503
            said.append(answer.json()["detail"])
            time.sleep(0.05)
    raise AssertionError(f"the disk never became full: {n_stored} frames were stored")


def test_a_service_whose_disk_is_full_ends_with_the_reason_and_goes_on_when_there_is_room(
    processes, port, wait_healthy, tmp_path, monkeypatch
):
    small = tmp_path / "small"
    small.mkdir()
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", small]).returncode:
        pytest.skip("this system lets nobody mount a small disk for one process")
    url, words = f"http://127.0.0.1:{port}", ("--site", "demo_lot", "--data-dir", str(tmp_path / "data"), "--port", str(port))
    monkeypatch.setenv("SMALL", str(small))
    monkeypatch.setenv("TWIN_DATABASE_URL", f"sqlite:///{small}/log.db")
    service = processes.spawn(
        "twin.cli", "serve", *words, name="service", under=("unshare", "-rm", "sh", "-c", _SMALL_DISK, "sh", small)
    )
    wait_healthy(url, service)
    n_stored, said = sent_until_it_stops(url)
    assert n_stored > 0
    assert service.wait(timeout=60) == 1
    assert all("full" in one and "open the log again" in one for one in said), said
    assert "disk is full" in processes.errors("service").splitlines()[-1]

    monkeypatch.setenv("TWIN_DATABASE_URL", f"sqlite:///{small}.saved/log.db")
    service = processes.spawn("twin.cli", "serve", *words, name="again")
    wait_healthy(url, service)
    resent = httpx2.post(f"{url}/v1/sites/demo_lot/observations", content=batch(n_stored + 1), timeout=10).json()["receipts"]
    assert {one["outcome"] for one in resent} in ({"stored"}, {"duplicate"}), "the batch without an answer is whole or absent"
    time.sleep(1)
    service.terminate()
    assert service.wait(timeout=30) == 0, processes.errors("again")
    processes.command("twin.cli", "log", "verify", "--data-dir", str(tmp_path / "data"))
    processes.command("twin.cli", "replay", "--site", "demo_lot", "--data-dir", str(tmp_path / "data"), "--check")
