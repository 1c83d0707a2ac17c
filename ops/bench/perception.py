"""Frames a second from clip to observations, against the bare detector on the same frames, and against a peer's tracker.

Ours decodes, detects, tracks, rates and embeds views and makes observations of every frame. The reference runs the same
detector, in the same runtime and as many frames at once, on frames that were decoded before, and does nothing else. The peer,
where its interpreter and weights are given, is ``ultralytics`` track with YOLO11n on the same decoded frames: BENCH_PEER_PYTHON
names the interpreter, BENCH_PEER_WEIGHTS the .pt file. BENCH_DETECTOR names another detector than the packaged one.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from perception.clips import Clips
from perception.detector import Detector, open_detector
from perception.embed import Embedder, open_embedder
from perception.emit import Emission
from perception.frames import Frame
from perception.models import packaged, packaged_if_any
from perception.video_file import VideoFile
from perception.worker import Feed, Pace, Worker
from site_models.load import load_site, resolve
from twin.errors import BadInput

SITE = "demo_lot"
FRAMES = 60  # of each camera
REPEATS = 5
_PEER = """
import json, os, sys, time, warnings
warnings.simplefilter("ignore")
os.environ.update(YOLO_AUTOINSTALL="0", YOLO_OFFLINE="1", YOLO_VERBOSE="False")
sys.path.insert(0, sys.argv[4])
from pathlib import Path
from perception.ultralytics_detector import ultralytics_packages
ultralytics, _ = ultralytics_packages(Path(sys.argv[1]))
import cv2
total = 0.0
for path in sys.argv[5:]:
    model = ultralytics.YOLO(sys.argv[1], task="detect")
    video, frames = cv2.VideoCapture(path), []
    while len(frames) < int(sys.argv[2]):
        frames.append(video.read()[1])
    model.track(frames[0], persist=True, imgsz=640, verbose=False, device="cpu")
    started = time.perf_counter()
    for frame in frames:
        model.track(frame, persist=True, imgsz=640, verbose=False, device="cpu")
    total += time.perf_counter() - started
print(json.dumps(total))
"""


class NullSink:
    """Takes everything and keeps nothing."""

    boot_epoch = 1
    delivery = None

    def __init__(self) -> None:
        self.n = 0

    def write(self, emissions: Sequence[Emission]) -> None:
        """Count."""
        self.n += len(emissions)

    def close(self) -> None:
        """Nothing to release."""


def run(repeats: int = REPEATS) -> dict[str, Any]:
    """Measure; frames a second over all cameras of the demo's clips."""
    folder = resolve(SITE)
    clips = Clips(folder / "clips", load_site(folder))
    chosen = os.environ.get("BENCH_DETECTOR")
    detector = open_detector(Path(chosen) if chosen else packaged("detector"))
    embedder = open_embedder(packaged_if_any("embedder"))
    frames = [frame for camera in clips.cameras for frame in _decoded(clips, str(camera.id))]
    ours, bare, peer = list[float](), list[float](), list[float]()
    for _ in range(repeats):
        ours.append(len(frames) / _seconds_of_ours(clips, detector, embedder))
        bare.append(len(frames) / _seconds_of_detector(detector, frames))
        if "BENCH_PEER_PYTHON" in os.environ:
            peer.append(len(frames) / _seconds_of_peer(clips))
    medians = {"end_to_end": statistics.median(ours)}
    reference = {"bare_detector": statistics.median(bare)} | ({"ultralytics_track": statistics.median(peer)} if peer else {})
    return {
        "schema": "twin.bench/1",
        "workload": f"{len(clips.cameras)} clips of {SITE}, {FRAMES} frames each, {detector.id}, {embedder.id}, frames/s",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, {detector.runtime}",
        "ours": {name: round(rate, 2) for name, rate in medians.items()},
        "reference": {name: round(rate, 2) for name, rate in reference.items()},
        "ratio": {name: round(medians["end_to_end"] / rate, 3) for name, rate in reference.items()},
        "repeats": repeats,
    }


def _path(clips: Clips, camera: str) -> Path:
    return clips.folder / clips.manifest.files[camera]


def _decoded(clips: Clips, camera: str) -> list[Frame]:
    source = VideoFile(next(one.id for one in clips.cameras if one.id == camera), _path(clips, camera))
    try:
        return list(islice(source.frames(), FRAMES))
    finally:
        source.close()


def _seconds_of_ours(clips: Clips, detector: Detector, embedder: Embedder) -> float:
    feeds = [Feed(camera, VideoFile(camera.id, _path(clips, str(camera.id)))) for camera in clips.cameras]
    worker = Worker(feeds, detector, embedder, NullSink(), min_score=0.3, pace=Pace(max_frames=FRAMES))
    return worker.run()


def _seconds_of_detector(detector: Detector, frames: Sequence[Frame]) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(detector.parallel) as threads:
        list(threads.map(detector.detect, (frame.image for frame in frames)))
    return time.perf_counter() - started


def _seconds_of_peer(clips: Clips) -> float:
    weights = os.environ.get("BENCH_PEER_WEIGHTS", "")
    if not Path(weights).is_file():
        raise BadInput(f"BENCH_PEER_WEIGHTS '{weights}' is no file; give the .pt of YOLO11n")
    root = str(Path(__file__).resolve().parents[2])
    files = [str(_path(clips, str(camera.id))) for camera in clips.cameras]
    command = [os.environ["BENCH_PEER_PYTHON"], "-c", _PEER, weights, str(FRAMES), "-", root, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput(f"the peer failed with {done.returncode}: {done.stderr[-500:]}")
    return float(json.loads(done.stdout.strip().splitlines()[-1]))
