"""A database of the first release is upgraded with its data; a backup taken under load is restored on an empty machine."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from pathlib import Path

import httpx2
import pytest

RELEASE = Path(__file__).parents[1] / "golden" / "v0.1.0"
FACTS = int(os.environ.get("MOVING_FACTS", "30"))  # that come before the backup, and as many after it


def events(processes, data_dir, *words) -> list[dict]:
    told = processes.command(
        "twin.cli", "log", "tail", "--site", "demo_lot", "--data-dir", str(data_dir), "--no-follow", *words
    )
    return [json.loads(line) for line in told.splitlines()]


def both(processes, data_dir) -> tuple[list[dict], list[dict]]:
    return events(processes, data_dir), events(processes, data_dir, "--facts")


def n_facts(url) -> int:
    return int(httpx2.get(f"{url}/v1/sites/demo_lot/facts", params={"limit": 1}, timeout=30).json()["head"])


def wait_for_facts(url, n: int, seconds: float = 120) -> int:
    until = time.monotonic() + seconds
    while (found := n_facts(url)) < n:
        assert time.monotonic() < until, f"{found} facts are stored, {n} did not come within {seconds} s"
        time.sleep(0.2)
    return found


@pytest.mark.timeout(600)
def test_an_upgraded_log_serves_and_its_backup_under_load_is_the_log_elsewhere(processes, port, wait_healthy, tmp_path, capsys):
    data_dir, url = tmp_path / "data", f"http://127.0.0.1:{port}"
    data_dir.mkdir()
    (data_dir / "log.db").write_bytes(gzip.decompress((RELEASE / "twin.db.gz").read_bytes()))
    verify = ("twin.cli", "log", "verify", "--json", "--data-dir")
    processes.command(*verify, str(data_dir), expect=1)  # of an older schema: refused, and left alone
    began_s = time.monotonic()
    processes.command("twin.cli", "db", "upgrade", "--data-dir", str(data_dir))
    upgraded_s = time.monotonic() - began_s
    assert json.loads(processes.command(*verify, str(data_dir)))["ok"]
    observations, facts = both(processes, data_dir)
    recorded = [json.loads(line) for line in gzip.decompress((RELEASE / "facts.jsonl.gz").read_bytes()).splitlines()]
    assert [one["id"] for one in facts] == [one["id"] for one in recorded]

    serve = ("twin.cli", "serve", "--site", str(RELEASE / "site"), "--port", str(port), "--data-dir")
    service = processes.spawn(*serve, str(data_dir), name="service")
    wait_healthy(url, service)
    worker = processes.spawn(
        *("perception.cli", "simulate", "--site", str(RELEASE / "site"), "--seed", "5", "--log", url),
        *("--spool", str(tmp_path / "spool"), "--json"),
        name="worker",
    )
    before, began_s = wait_for_facts(url, len(facts) + FACTS), time.monotonic()
    processes.command("twin.cli", "backup", "--out", str(tmp_path / "backup"), "--data-dir", str(data_dir))
    backed_up_s = time.monotonic() - began_s
    after = wait_for_facts(url, n_facts(url) + FACTS)
    for process in (worker, service):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, processes.errors("service")

    elsewhere, began_s = tmp_path / "elsewhere", time.monotonic()
    processes.command("twin.cli", "restore", "--from", str(tmp_path / "backup"), "--data-dir", str(elsewhere))
    restored_s = time.monotonic() - began_s
    manifest, heads = json.loads((tmp_path / "backup" / "backup.json").read_bytes()), tmp_path / "heads.json"
    heads.write_text(json.dumps(manifest["chain"]))
    for folder in (elsewhere, data_dir):
        assert json.loads(processes.command(*verify, str(folder), "--known", str(heads)))["ok"]
    (kept, told), (restored, concluded) = both(processes, data_dir), both(processes, elsewhere)
    assert kept[: len(observations)] == observations
    assert told[: len(facts)] == facts
    assert restored == kept[: len(restored)]
    assert concluded == told[: len(concluded)]
    assert before <= len(concluded) < after <= len(told), "the backup is of a moment amid the load"

    service = processes.spawn(*serve, str(elsewhere), name="service")
    wait_healthy(url, service)
    assert n_facts(url) >= len(concluded)
    with capsys.disabled():
        print(
            f"\nupgraded {len(observations)} observations and {len(facts)} facts in {upgraded_s:.1f} s; a backup of"
            f" {len(restored)} and {len(concluded)} under load took {backed_up_s:.1f} s, restoring it {restored_s:.1f} s"
        )
