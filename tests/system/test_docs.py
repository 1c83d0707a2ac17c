"""Every example on the pages is run against a service whose site had traffic, or stands in a list with the reason why not."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx2
import jsonschema_rs
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    *(f"ops/docs/{name}.md" for name in ("subscriptions", "billing", "gates", "events", "search", "http-api")),
)
ADDRESS = "http://127.0.0.1:8600"
LOT = "/v1/sites/demo_lot"

FENCED = re.compile(r"^ *```(python|sh|json)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
CURL = re.compile(r"^ *(curl .*)$|`(curl [^`]*)`", re.MULTILINE)

NOT_RUN = {
    ("README.md", "make demo"): "sets a machine up and plays cameras for ever; tests/system/test_demo.py runs `twin demo`",
    ("README.md", "pip install"): "installs the project and fetches a model from the internet",
    ("README.md", "twin serve --site my_site"): "a site and cameras of one's own",
    (
        "ops/docs/subscriptions.md",
        "import asyncio",
    ): "runs for ever: tests/twin/api/test_pages.py runs it, kills it, and counts",
    ("ops/docs/gates.md", "import asyncio"): "runs for ever: tests/twin/api/test_pages.py runs it and counts barriers",
}
"""Page and beginning of an example; why it is not run here."""


def blocks(*kinds):
    found = []
    for page in PAGES:
        for kind, text in FENCED.findall((ROOT / page).read_text()):
            if kind in kinds and not any(page == one and text.strip().startswith(begins) for one, begins in NOT_RUN):
                found.append(pytest.param(page, text, id=f"{page.rsplit('/')[-1]}: {text.strip()[:30]}"))
    return found


def commands():
    found = []
    for page in PAGES:
        for line, inline in CURL.findall((ROOT / page).read_text()):
            found.append(pytest.param(line or inline, id=f"{page.rsplit('/')[-1]}: {(line or inline)[:60]}"))
    return found


@pytest.fixture(scope="module")
def tracklet(lived_in):
    """A sighting that can be searched with."""
    facts = httpx2.get(f"{lived_in}{LOT}/facts", timeout=30).json()["facts"]
    for fact in facts:
        if fact["type"] == "tracklet.assigned.v1":
            name = fact["data"]["tracklet"]
            if httpx2.get(f"{lived_in}{LOT}/search", params={"tracklet": name}, timeout=60).status_code == 200:
                return name
    raise AssertionError("no sighting can be searched with")


def test_whatever_is_not_run_is_still_on_its_page():
    for page, begins in NOT_RUN:
        assert any(text.strip().startswith(begins) for _, text in FENCED.findall((ROOT / page).read_text())), (page, begins)


@pytest.mark.parametrize("command", commands())
def test_a_request_on_a_page_is_answered(command, lived_in, tracklet, tmp_path):
    Image.new("RGB", (64, 64), "red").save(tmp_path / "car.jpg")
    assert ADDRESS in command
    words = shlex.split(command.replace(ADDRESS, lived_in).replace("gate-in.1.17", tracklet))
    done = subprocess.run([*words, "-sS", "-w", "\n%{http_code}"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer, _, status = done.stdout.rpartition("\n")
    if "-F image=" in command:  # simulated views have a descriptor of their own, which no picture can be compared with
        assert (status, "holds views by 'simulated-128@1'" in answer) == ("409", True), answer
    else:
        assert status == "200", answer


@pytest.mark.parametrize(("page", "text"), blocks("python", "sh"))
def test_a_program_on_a_page_runs(page, text, lived_in, tmp_path):
    if text.strip().startswith("curl"):
        pytest.skip("each line is a request of its own, and run as one")
    file = tmp_path / "program.py"
    file.write_text(text.replace(ADDRESS, lived_in))
    done = subprocess.run(
        [sys.executable, str(file)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout, "it says nothing"


@pytest.mark.parametrize(("page", "text"), blocks("json"))
def test_an_example_of_json_is_what_the_service_takes_or_tells(page, text, lived_in):
    told = json.loads(text)
    api, events = (httpx2.get(f"{lived_in}/{name}.json", timeout=30).json() for name in ("openapi", "asyncapi"))
    if "type" not in told:
        kind = "Receipts" if "receipts" in told else "DueView"
        validator = jsonschema_rs.Draft202012Validator(
            {"$ref": f"#/components/schemas/{kind}", "components": api["components"]}
        )
        validator.validate(told)
        return
    schema = {**events["components"]["schemas"][told["type"]]["properties"]["data"], "components": events["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(told["data"])
    if "device" in told:
        answer = httpx2.post(f"{lived_in}{LOT}/observations", json=[told], timeout=30)
        assert answer.json()["receipts"][0]["outcome"] in ("stored", "duplicate", "refused"), answer.text


def test_examples_of_bodies_are_taken(lived_in):
    api = httpx2.get(f"{lived_in}/openapi.json", timeout=30).json()
    sent = 0
    for path, by_method in api["paths"].items():
        for method, operation in by_method.items():
            for media, told in operation.get("requestBody", {}).get("content", {}).items():
                if "example" not in told:
                    continue
                answer = httpx2.request(
                    method,
                    lived_in + path.replace("{site}", "demo_lot"),
                    content=json.dumps(told["example"]),
                    headers={"content-type": media},
                    timeout=30,
                )
                assert answer.status_code == 200, (path, media, answer.text)
                sent += 1
    assert sent >= 3
