"""The service holds to its own description: requests made from it, good and bad, get the answers that it promises.

``CONTRACT_EXAMPLES`` is how many requests are made for each operation in each phase, beside those for the limits of every
value; ``CONTRACT_SEED`` which ones.
"""

import os
import re
import shutil
import subprocess
import sys

import httpx2
import pytest

EXAMPLES = os.environ.get("CONTRACT_EXAMPLES", "3")
SEED = os.environ.get("CONTRACT_SEED", "1")
LOT = "/v1/sites/demo_lot"


@pytest.fixture
def url(processes, port, tmp_path, wait_healthy):
    """A service whose site had traffic: stays, stalls, money, views to search, a subscription with facts that wait."""
    var = tmp_path / "var"
    words = ("--simulated", "--for", "45", "--port", "0", "--data-dir", str(var))
    processes.command("twin.cli", "demo", *words)
    service = processes.spawn(
        "twin.cli", "serve", "--site", "demo_lot", "--port", str(port), "--data-dir", str(var), name="service"
    )
    url = f"http://127.0.0.1:{port}"
    wait_healthy(url, service)
    with httpx2.Client(base_url=url, timeout=60) as http:
        assert http.get(f"{LOT}/sessions").json()["sessions"]
        http.put(f"{LOT}/subscriptions/billing", json={"after": "0"}).raise_for_status()
    yield url
    assert service.poll() is None, processes.errors("service")


@pytest.mark.timeout(900)
def test_the_service_holds_to_its_description(url, tmp_path):
    program = shutil.which("schemathesis", path=os.path.dirname(sys.executable)) or "schemathesis"
    command = [program, "run", f"{url}/openapi.json", "--checks", "all", "--max-examples", EXAMPLES, "--seed", SEED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=850)
    told = done.stdout[-12_000:]
    assert done.returncode == 0, told
    n_made = int(re.search(r"(\d+) generated", done.stdout)[1])
    assert n_made >= 30 * int(EXAMPLES), told
