"""The way of a new user, by the commands of ops/docs/first-camera.md: from nothing to a vehicle of one's own RTSP camera.

The camera is a rendered one, played over RTSP, whose truth is known; the detector is the one that learned from such pictures.
``-s`` prints how long each step took.
"""

import csv
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import av
import httpx2
import numpy as np
import pytest

from site_models.load import PACKAGED, load_site
from twin.spatial.camera import GroundCamera

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ops" / "docs" / "first-camera.md"
DEMO = load_site(PACKAGED / "demo_lot")
TRUE = GroundCamera.of(next(one for one in DEMO.cameras if one.id == "aisle-2"), DEMO.levels[0])
CLIP = PACKAGED / "demo_lot" / "clips" / "aisle-2.mp4"
DETECTOR = ROOT / "perception" / "models" / "detector.onnx"
PIXELS = np.array([[60, 520], [900, 500], [480, 400], [200, 260], [760, 240], [120, 200], [500, 185], [880, 205]], dtype=float)
FPS, FIRST_S, SECONDS = 5, 20.0, 30.0
NOT_RUN = ("make setup", "perceive fetch")


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [" ".join(block.replace("\\\n", " ").split()) for block in blocks]


@pytest.fixture(scope="module")
def address():
    """Of a stream of half a minute in which vehicles drive by, over and over."""
    path = ROOT / "tests" / "perception" / "rtsp_server.py"
    spec = importlib.util.spec_from_file_location("rtsp_server_of_first_camera", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with av.open(str(CLIP)) as clip:
        step = 1.0 / FPS
        images, due = [], FIRST_S
        for frame in clip.decode(video=0):
            if frame.time >= due and frame.time < FIRST_S + SECONDS:
                images.append(frame.to_ndarray(format="bgr24"))
                due += step
    server = module.RtspServer(images, fps=FPS)
    yield server.url
    server.close()


class Walk:
    """Runs the page's commands in a folder, with the test's own stream, detector and port in their places."""

    def __init__(self, processes, folder: Path, address: str, port: int) -> None:
        self.processes, self.folder, self.url = processes, folder, f"http://127.0.0.1:{port}"
        self.left = commands()
        self.instead = {
            "rtsp://10.0.0.12/stream1": address,
            "yolox_nano.onnx": str(DETECTOR),
            "http://127.0.0.1:8600": self.url,
        }
        self.port = port

    def words(self, begins: str) -> list[str]:
        """The next command of the page, which must begin so."""
        text = self.left.pop(0)
        while text.startswith(NOT_RUN):
            text = self.left.pop(0)
        assert text.startswith(begins), text
        for told, real in self.instead.items():
            text = text.replace(told, real)
        program, *rest = shlex.split(text)
        more = ["--port", str(self.port)] if begins == "twin serve" else []
        return [*{"twin": ("twin.cli",), "perceive": ("perception.cli",)}.get(program, (program,)), *rest, *more]

    def run(self, begins: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *self.words(begins)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def start(self, begins: str, name: str) -> subprocess.Popen:
        return self.processes.spawn(*self.words(begins), name=name, cwd=self.folder)

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(f"{self.url}{path}", timeout=30)


def until(told, seconds: float):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := told():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s")


def stop(*running: subprocess.Popen) -> None:
    for process in running:
        process.terminate()
    for process in running:
        process.wait(60)


@pytest.mark.timeout(600)
def test_a_new_user_sees_a_vehicle_of_their_own_camera_in_their_own_zone(processes, wait_healthy, tmp_path, address, port):
    walk, begun = Walk(processes, tmp_path, address, port), time.monotonic()

    def took(what: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {what}")

    assert "where its cameras stand is a guess" in walk.run("twin site new")
    took("a site")
    service = walk.start("twin serve", "service")
    wait_healthy(walk.url, service)
    worker = walk.start("perceive run", "worker")
    until(lambda: walk.get("/v1/sites/my_site/cameras/yard/picture").status_code == 200, 90)
    took("the camera's picture")

    ground = TRUE.to_ground(PIXELS, np.ones_like(PIXELS)).points_m
    with (tmp_path / "yard.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("pixel_x", "pixel_y", "ground_x_m", "ground_y_m"))
        rows.writerows(np.column_stack((PIXELS, ground)).tolist())
    guess = (tmp_path / "my_site" / "cameras.toml").read_text()
    assert "8 pairs" in walk.run("twin calibrate")
    assert (tmp_path / "my_site" / "cameras.toml").read_text() != guess
    stop(service)
    service = walk.start("twin serve", "service-calibrated")
    wait_healthy(walk.url, service)
    took("calibrated, and the service started with it")

    x1, y1, x2, y2 = (*ground.min(axis=0), *ground.max(axis=0))
    ring = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    zone = {"id": "my-zone", "level": "ground", "kind": "parking", "ring_m": ring}
    saved = httpx2.post(
        f"{walk.url}/v1/sites/my_site/model/versions",
        json={
            "zones": [zone],
            "stalls": [],
            "lanes": [],
            "portals": [],
            "author": "ann",
            "reason": "first zone",
            "at": "2026-01-01T00:00:00Z",
        },
        timeout=30,
    )
    assert saved.status_code == 201, saved.text
    stop(worker, service)
    service = walk.start("twin serve", "service-2")
    assert (tmp_path / "twin-data/sites/my_site/0001").samefile(tmp_path / saved.json()["folder"])
    before, drawn = load_site(tmp_path / "my_site"), load_site(tmp_path / "twin-data/sites/my_site/0001")
    assert drawn.cameras == before.cameras
    wait_healthy(walk.url, service)
    worker = walk.start("perceive run", "worker-2")
    took("a zone, and both started with it")

    def inside() -> list[dict]:
        state = walk.get("/v1/sites/my_site/state").json()
        return [one for one in state["vehicles"] if one.get("zone") == "my-zone"]

    found = until(inside, 120)
    took(f"{len(found)} vehicles in the zone")
    assert json.dumps(found)
    (curl,) = walk.left
    assert curl == "curl http://127.0.0.1:8600/v1/sites/my_site/state"
    assert walk.get("/?site=my_site").status_code == 200
    for name in ("service", "service-calibrated", "service-2", "worker", "worker-2"):
        assert "Traceback" not in processes.errors(name)
