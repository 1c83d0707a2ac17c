import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")
pytest.importorskip("yolox", reason="the extra 'train' is not installed")

from perception.training.export import export_detector  # noqa: E402
from perception.training.frames_dataset import KINDS  # noqa: E402
from perception.training.start_weights import load_exported  # noqa: E402
from perception.training.yolox_nano import build_network  # noqa: E402
from twin.errors import ModelError  # noqa: E402

SIZE_PX = (128, 96)


@pytest.fixture
def pictures():
    return torch.from_numpy(np.random.default_rng(2).uniform(0, 255, (4, 3, 96, 128)).astype(np.float32))


@pytest.fixture
def exported(tmp_path, pictures):
    """A file whose normalizations are not those of an untrained network."""
    network = build_network(len(KINDS), seed=1).eval()
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for values in (module.weight, module.running_var):
                    values.copy_(0.5 + torch.rand(values.shape, generator=rng))
                for values in (module.bias, module.running_mean):
                    values.copy_(torch.rand(values.shape, generator=rng) - 0.5)
    export_detector(network, tmp_path / "detector.onnx", input_px=SIZE_PX, recipe="abc")
    return tmp_path / "detector.onnx"


def test_a_network_with_a_files_weights_computes_what_the_file_does(exported, pictures):
    network = build_network(len(KINDS), seed=9).train()
    load_exported(network, exported, pictures)
    assert network.training
    network.head.decode_in_inference = False
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        computed = network.eval()(pictures[:1]).numpy()
    (expected,) = session.run(None, {"image": pictures[:1].numpy()})
    assert computed == pytest.approx(expected, abs=1e-3)


def test_its_normalizations_undo_the_statistics_of_the_pictures(exported, pictures):
    network = build_network(len(KINDS), seed=9)
    load_exported(network, exported, pictures)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.weight.detach().numpy() == pytest.approx(np.sqrt(module.running_var.numpy() + module.eps), rel=1e-5)


def test_a_file_with_other_classes_is_refused(exported, pictures):
    with pytest.raises(ModelError, match=r"start from a model that"):
        load_exported(build_network(3, seed=1), exported, pictures)


def test_a_file_that_is_no_model_is_refused(tmp_path, pictures):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ModelError, match="is no ONNX model"):
        load_exported(build_network(len(KINDS), seed=1), broken, pictures)
