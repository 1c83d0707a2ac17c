import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from perception.detector import open_detector
from perception.inference import open_network
from perception.onnx_detector import OnnxDetector
from twin.errors import MissingExtra, ModelError

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("head", ["yolov8", "yolox"])
def test_both_heads_find_painted_vehicles_through_both_runtimes(head, runtime, colour_detector, paint):
    detector = OnnxDetector(colour_detector(head), runtime=runtime)
    image = paint((640, 360), (RED, (100, 60, 260, 160)), (GREEN, (20, 20, 60, 60)), (BLUE, (400, 200, 600, 320)))

    found = detector.detect(image)

    assert sorted(found.kinds) == ["bus", "car"]  # green is a person
    boxes = dict(zip(found.kinds, found.boxes_px.tolist(), strict=True))
    # the frame is halved to fit 320 px: edges are right to two frame pixels
    assert boxes["car"] == pytest.approx([100, 60, 260, 160], abs=2.5)
    assert boxes["bus"] == pytest.approx([400, 200, 600, 320], abs=2.5)
    assert detector.runtime.startswith(runtime)
    assert detector.scale((640, 360)) == 0.5


def test_nothing_painted_is_nothing_found(colour_detector, paint):
    assert len(OnnxDetector(colour_detector()).detect(paint((320, 192)))) == 0


def test_classes_are_named_by_option_where_the_model_does_not_name_them(colour_detector, paint):
    path = colour_detector(names=False)
    with pytest.raises(ModelError, match="3 classes and does not name them"):
        OnnxDetector(path)
    named = OnnxDetector(path, classes=("truck", "tree", "tree"))
    assert named.detect(paint((320, 192), (RED, (10, 10, 90, 60)))).kinds == ("truck",)


def test_classes_are_read_from_the_file_beside_the_model(colour_detector, paint):
    path = colour_detector(names=False)
    path.with_name(f"{path.stem}.classes.json").write_text('["van", "tree", "tree"]')
    assert OnnxDetector(path).detect(paint((320, 192), (RED, (10, 10, 90, 60)))).kinds == ("van",)


def test_wrong_number_of_class_names_is_told_with_both_counts(colour_detector):
    with pytest.raises(ModelError, match="3 classes, but 2 names"):
        OnnxDetector(colour_detector(), classes=("car", "bus"))


def test_model_without_a_vehicle_class_is_refused(colour_detector):
    with pytest.raises(ModelError, match="none is a vehicle"):
        OnnxDetector(colour_detector(), classes=("cat", "dog", "cow"))


def test_fixed_input_cannot_be_resized(colour_detector):
    with pytest.raises(ModelError, match="320x320 only"):
        OnnxDetector(colour_detector(), input_px=640)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("content", [b"", b"no model at all", bytes(range(256)) * 40])
def test_garbage_is_no_model(content, runtime, tmp_path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot load .*bad\.onnx"):
        open_network(path, runtime)


def test_model_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "relu.onnx"
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", info[:1], info[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    with pytest.raises(ModelError, match=r"\(1, 3, 64, 64\).*neither a YOLOv8/11 head"):
        OnnxDetector(path)


def test_missing_files_and_missing_detector_say_what_to_give(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        open_detector(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="add --detector MODEL"):
        open_detector(None)
    (tmp_path / "model.tflite").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"ends in '\.tflite'"):
        open_detector(tmp_path / "model.tflite")
    with pytest.raises(ModelError, match=r"0 \.xml files"):
        open_detector(tmp_path)


def test_ultralytics_file_names_the_extra_where_it_is_absent(tmp_path):
    import importlib.util

    if importlib.util.find_spec("ultralytics"):
        pytest.skip("ultralytics is installed here")
    path = tmp_path / "yolo.pt"
    path.write_bytes(b"x")
    with pytest.raises(MissingExtra, match=r"install '\.\[yolo\]'"):
        open_detector(path)


def test_detector_id_changes_with_the_file(colour_detector):
    first, second = OnnxDetector(colour_detector()).id, OnnxDetector(colour_detector(names=False), classes=("car",) * 3).id
    assert first.startswith("colours_yolov8_320_True@")
    assert first.split("@")[1] != second.split("@")[1]


def test_zero_sized_regions_do_not_reach_the_tracker(colour_detector, paint):
    image = paint((320, 192), (RED, (10, 10, 11, 11)))
    assert np.all(OnnxDetector(colour_detector()).detect(image).boxes_px >= 0)
