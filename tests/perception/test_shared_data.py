"""Real models on a real clip; skipped where the data files are absent."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from perception.detector import open_detector
from perception.embed import ColourEmbedder, open_embedder
from perception.emit import CameraEmitter
from perception.video_file import VideoFile
from site_models.schema import Camera, GroundHomography
from twin.events.observations import FrameObserved, TrackletEmbedded

DATA = Path(__file__).parents[3] / "shared" / "data"
CLIP = DATA / "video" / "highway_traffic.mp4"

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not CLIP.is_file(), reason="wants the shared data files beside the repository"),
]


@pytest.fixture(scope="module")
def frames():
    source = VideoFile("cam", CLIP)
    taken = []
    for frame in source.frames():
        taken.append(frame)
        if len(taken) == 45:
            break
    source.close()
    return taken


@pytest.mark.parametrize(
    ("weights", "runtime"),
    [
        ("yolox_nano.onnx", "openvino"),
        ("yolox_nano.onnx", "onnxruntime"),
        ("yolo11n_int8_openvino_model", "openvino"),
    ],
)
def test_a_real_detector_follows_the_near_car_as_one_tracklet(weights, runtime, frames):
    detector = open_detector(DATA / "weights" / weights, runtime=runtime)
    identity = GroundHomography(matrix=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    emitter = CameraEmitter(
        Camera(id="cam", level="0", frame_px=(1280, 720), geometry=identity),
        clock="file",
        boot_epoch=1,
        detector_id=detector.id,
        box_sigma=detector.box_sigma,
        embedder=ColourEmbedder(),
        min_score=0.3,
    )
    emissions = [
        one for frame in frames[:45] for one in emitter.emit(frame, detector.detect(frame.image), detector.scale(frame.size_px))
    ]
    lengths = Counter(box.tracklet for one in emissions if isinstance(one.payload, FrameObserved) for box in one.payload.boxes)
    assert 2 <= len(lengths) <= 8
    assert lengths.most_common(1)[0][1] >= 35  # of 45 frames
    kinds = Counter(box.kind for one in emissions if isinstance(one.payload, FrameObserved) for box in one.payload.boxes)
    assert kinds.most_common(1)[0][0] == "car"
    assert any(isinstance(one.payload, TrackletEmbedded) for one in emissions)


def test_both_runtimes_find_the_same_boxes(frames):
    first, second = (
        open_detector(DATA / "weights" / "yolox_nano.onnx", runtime=runtime).detect(frames[40].image)
        for runtime in ("openvino", "onnxruntime")
    )
    assert first.kinds == second.kinds
    assert first.boxes_px == pytest.approx(second.boxes_px, abs=0.5)


def test_a_real_embedder_knows_a_car_again_a_moment_later(frames):
    embedder = open_embedder(DATA / "weights" / "osnet_x0_25_msmt17.onnx")
    detector = open_detector(DATA / "weights" / "yolox_nano.onnx")

    def look(frame):
        x1, y1, x2, y2 = detector.detect(frame.image).boxes_px[0].astype(int)
        return np.frombuffer(embedder.embed(frame.image[y1:y2, x1:x2]), np.int8).astype(float) / 127

    first, later = look(frames[40]), look(frames[43])
    assert len(first) == 512
    assert first @ later > 0.8
