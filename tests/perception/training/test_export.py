import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("yolox", reason="the extra 'train' is not installed")

from perception.detect import decode_yolox  # noqa: E402
from perception.inference import open_network  # noqa: E402
from perception.training import export  # noqa: E402
from perception.training.export import export_detector  # noqa: E402
from perception.training.frames_dataset import KINDS  # noqa: E402
from perception.training.yolox_nano import build_network  # noqa: E402
from twin.errors import ModelError  # noqa: E402

SIZE_PX = (128, 96)


@pytest.fixture
def network():
    return build_network(len(KINDS), seed=1).eval()


def test_the_files_boxes_decode_to_those_of_the_package(network, tmp_path):
    picture = np.random.default_rng(1).uniform(0, 255, (1, 3, 96, 128)).astype(np.float32)
    with torch.inference_mode():
        whole = network(torch.from_numpy(picture))[0].numpy()
    path = tmp_path / "d.onnx"
    export_detector(network, path, input_px=SIZE_PX, recipe="abc")
    boxes, scores = decode_yolox(open_network(path, "onnxruntime").run(picture)[0][0], SIZE_PX)
    assert (boxes[:, :2] + boxes[:, 2:]) / 2 == pytest.approx(whole[:, :2], abs=1e-2)
    assert boxes[:, 2:] - boxes[:, :2] == pytest.approx(whole[:, 2:4], abs=1e-2)
    assert scores == pytest.approx(whole[:, 4:5] * whole[:, 5:], abs=1e-4)


def test_the_file_names_its_classes_licence_and_recipe(network, tmp_path):
    path = tmp_path / "vehicles.onnx"
    assert export_detector(network, path, input_px=SIZE_PX, recipe="abc") < 1e-3
    told = open_network(path, "onnxruntime")
    assert told.input_shape == (1, 3, 96, 128)
    assert told.metadata["names"] == "{0: 'car', 1: 'van', 2: 'truck', 3: 'bus', 4: 'motorcycle'}"
    assert told.metadata["licence"] == "Apache-2.0"
    assert told.metadata["recipe"] == "abc"
    assert told.metadata["model_id"] == "vehicles-abc"
    assert told.metadata["input_px"] == "128x96"
    assert path.stat().st_size < 6_000_000


def test_a_file_that_is_too_large_is_not_left_behind(network, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="at most 1000 belong in the repository"):
        export_detector(network, tmp_path / "d.onnx", input_px=SIZE_PX, recipe="abc")
    assert list(tmp_path.iterdir()) == []
