import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception.training.yolo import YoloRecipe, fine_tune
from twin.errors import BadInput, MissingExtra

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "weights" / "yolo11n_rebuilt.pt"
HAS_YOLO = importlib.util.find_spec("ultralytics") is not None


@pytest.fixture
def dataset(tmp_path):
    """Four frames with a red rectangle each, in YOLO's format."""
    rng = np.random.default_rng(1)
    for split in ("train", "val"):
        (tmp_path / "images" / split).mkdir(parents=True)
        (tmp_path / "labels" / split).mkdir(parents=True)
        for i in range(2):
            frame = rng.integers(0, 90, (96, 96, 3), dtype=np.uint8)
            frame[30:70, 20:80] = (0, 0, 250)
            cv2.imwrite(str(tmp_path / "images" / split / f"{i}.jpg"), frame)
            (tmp_path / "labels" / split / f"{i}.txt").write_text("0 0.52 0.52 0.62 0.42\n")
    data = tmp_path / "data.yaml"
    data.write_text(f"path: {tmp_path}\ntrain: images/train\nval: images/val\nnames:\n  0: car\n")
    return data


def test_what_is_missing_is_named(dataset, tmp_path):
    base = tmp_path / "base.pt"
    with pytest.raises(BadInput, match=r"'.*none\.yaml' does not exist"):
        fine_tune(tmp_path / "none.yaml", base, tmp_path, YoloRecipe())
    with pytest.raises(BadInput, match=r"'.*base\.pt' does not exist"):
        fine_tune(dataset, base, tmp_path, YoloRecipe())
    base.write_bytes(b"")
    with pytest.raises(BadInput, match="input size 100 is no multiple of 32"):
        fine_tune(dataset, base, tmp_path, YoloRecipe(input_px=100))


@pytest.mark.skipif(HAS_YOLO, reason="ultralytics is installed here")
def test_without_ultralytics_the_extra_is_named(dataset, tmp_path):
    (tmp_path / "base.pt").write_bytes(b"")
    with pytest.raises(MissingExtra, match="yolo"):
        fine_tune(dataset, tmp_path / "base.pt", tmp_path, YoloRecipe())


@pytest.mark.shared_data
@pytest.mark.skipif(not (HAS_YOLO and SHARED.is_file()), reason="wants ultralytics and the shared YOLO weights")
@pytest.mark.filterwarnings("ignore")
def test_a_yolo_is_fine_tuned_and_the_onnx_file_is_a_detector(dataset, tmp_path):
    from perception.detector import open_detector

    model = fine_tune(dataset, SHARED, tmp_path / "out", YoloRecipe(epochs=1, input_px=96, batch=2))
    assert model == tmp_path / "out" / "detector.onnx"
    detector = open_detector(model, runtime="onnxruntime")
    detector.detect(cv2.imread(str(tmp_path / "images" / "val" / "0.jpg")))
