"""kill -9 of the service, and of workers, while observations flow: nothing lost, nothing doubled."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest

from retrieval.index import Point, Sighting, unit_vector
from twin.evaluation.proofs import part

KILLS = int(os.environ.get("KILLS", "4"))
SEED = int(os.environ.get("KILL_SEED", "7"))
SUBSCRIBER_KILLS = int(os.environ.get("SUBSCRIBER_KILLS", "6"))
INDEX_KILLS = int(os.environ.get("INDEX_KILLS", "6"))
FACTS = int(os.environ.get("SUBSCRIBER_FACTS", "1200"))


def stored(processes, data_dir) -> list[dict]:
    lines = processes.command("twin.cli", "log", "tail", "--site", "demo_lot", "--data-dir", str(data_dir), "--no-follow")
    return [json.loads(line) for line in lines.splitlines()]


def from_cameras(events: list[dict]) -> list[tuple]:
    keys = [(event["device"], event["bootepoch"], int(event["sequence"])) for event in events]
    return [key for key in keys if key[0] != "twin-worker"]


def boot_epochs(processes, data_dir) -> set[str]:
    return {key[1] for key in from_cameras(stored(processes, data_dir))}


def wait_until(is_so: Callable[[], bool], what: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"{what} did not come within {seconds} s"


def test_a_service_killed_at_random_moments_ends_with_the_fold_of_its_log(processes, port, wait_healthy, tmp_path):
    url, data_dir, draw = f"http://127.0.0.1:{port}", tmp_path / "data", random.Random(SEED)
    serve = ("twin.cli", "serve", "--site", "demo_lot", "--data-dir", str(data_dir), "--port", str(port))
    service = processes.spawn(*serve, name="service")
    wait_healthy(url, service)
    worker = processes.spawn(
        *("perception.cli", "simulate", "--site", "demo_lot", "--seed", str(SEED), "--log", url),
        *("--spool", str(tmp_path / "spool"), "--for", str(5 + 3 * KILLS), "--json"),
        name="worker",
    )
    for _ in range(KILLS):
        time.sleep(draw.uniform(0.3, 3.0))
        service.send_signal(signal.SIGKILL)
        service.wait()
        service = processes.spawn(*serve, name="service")
    wait_healthy(url, service)
    assert worker.wait(timeout=200) == 0, processes.errors("worker")
    time.sleep(1)  # the fold's last ticks
    service.send_signal(signal.SIGTERM)
    assert service.wait(timeout=30) == 0, processes.errors("service")

    produced = processes.output("worker")["produced"]
    keys = from_cameras(stored(processes, data_dir))
    assert len(keys) == len(set(keys)) == produced, f"seed {SEED}: {produced} produced, {len(keys)} stored"
    processes.command("twin.cli", "replay", "--site", "demo_lot", "--data-dir", str(data_dir), "--check")


def test_a_worker_killed_and_restarted_doubles_nothing(processes, port, wait_healthy, tmp_path):
    url, data_dir, draw = f"http://127.0.0.1:{port}", tmp_path / "data", random.Random(SEED)
    serve = ("twin.cli", "serve", "--site", "demo_lot", "--data-dir", str(data_dir), "--port", str(port))
    service = processes.spawn(*serve, name="service")
    wait_healthy(url, service)
    simulate = (
        *("perception.cli", "simulate", "--site", "demo_lot", "--seed", str(SEED), "--log", url),
        *("--spool", str(tmp_path / "spool"), "--json", "--for"),
    )
    for n_started in (1, 2, 3):
        worker = processes.spawn(*simulate, "90", name="worker")
        wait_until(lambda n=n_started: len(boot_epochs(processes, data_dir)) == n, "the worker's first events", seconds=60)
        time.sleep(draw.uniform(0.5, 2.0))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    worker = processes.spawn(*simulate, "3", name="worker")
    assert worker.wait(timeout=100) == 0, processes.errors("worker")
    service.send_signal(signal.SIGTERM)
    assert service.wait(timeout=30) == 0, processes.errors("service")

    events = stored(processes, data_dir)
    keys = from_cameras(events)
    assert len(keys) == len(set(keys))
    assert len({key[1] for key in keys}) == 4, "every start of the worker is its own boot epoch"
    for device, epoch in {key[:2] for key in keys}:
        sequences = sorted(key[2] for key in keys if key[:2] == (device, epoch))
        assert sequences == list(range(1, len(sequences) + 1)), f"a hole in what {device} of epoch {epoch} sent"


@pytest.mark.timeout(120 + 3 * SUBSCRIBER_KILLS + FACTS // 20)
def test_a_subscriber_killed_while_facts_flow_has_each_effect_once_and_in_order():
    wrong = part("killed_subscriber").refuted(SEED, n_facts=FACTS, n_kills=SUBSCRIBER_KILLS)
    assert wrong is None, f"seed {SEED}: {wrong}"


@pytest.mark.timeout(120 + 20 * INDEX_KILLS)
def test_an_index_killed_while_it_is_filled_or_built_again_misses_no_view_and_doubles_none():
    killed = part("killed_index").killed(SEED, INDEX_KILLS)
    print(killed)
    assert killed.wrong is None, f"seed {SEED}: {killed.wrong}"
    assert killed.n_kills == INDEX_KILLS


def test_an_index_that_misses_or_doubles_a_view_is_told():
    proof = part("killed_index")
    views = [proof.view(number) for number in (1, 2)]
    points = [
        Point(
            id=UUID(hex=one.id),
            vector=unit_vector(one.payload.personal.embedding),
            sighting=Sighting(
                site=one.site,
                camera=one.payload.camera,
                tracklet=one.payload.tracklet,
                at=one.occurred_at,
                kind="car",
                quality=0.5,
                embedder=one.payload.embedder,
            ),
        )
        for one in views
    ]
    assert proof.wrong_of(points, 2, 2, views, is_complete=True) is None
    assert "view at 2 is not there" in proof.wrong_of(points[:1], 1, 2, views)
    assert proof.wrong_of(points[:1], 1, 1, views) is None
    assert "cursor is at 1" in proof.wrong_of(points[:1], 1, 1, views, is_complete=True)
    assert "2 points are counted" in proof.wrong_of([points[0], points[0]], 2, 1, views)
    elsewhere = msgspec.structs.replace(points[0], vector=-points[0].vector)
    assert "is not what was seen" in proof.wrong_of([elsewhere], 1, 1, views)
