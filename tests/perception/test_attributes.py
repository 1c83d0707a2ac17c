"""Colour and body: a model with the outputs of one, and the real one where its file is."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from perception.attribute_choice import open_attributes
from perception.attributes import LEAST_SCORE, Attributes, BarrierAttributes, likeliest
from perception.video_file import VideoFile
from twin.errors import ModelError

DATA = Path(__file__).parents[3] / "shared" / "data"
MODEL = DATA / "weights" / "openvino_omz" / "vehicle-attributes-recognition-barrier-0039.xml"
CLIP = DATA / "video" / "highway_traffic.mp4"


@pytest.fixture
def model(tmp_path):
    """``model(type=…, color=…)``: an ONNX file that gives these numbers for any picture, in this order."""

    def made(**outputs: list[float]) -> Path:
        floats = TensorProto.FLOAT
        nodes = [
            helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["mean"] * 2, ["nil"]),
        ]
        constants = []
        for name, numbers in outputs.items():
            numbers_ = np.array(numbers, np.float32).reshape(1, -1, 1, 1)
            constants.append(onnx.numpy_helper.from_array(numbers_, f"{name}_numbers"))
            nodes.append(helper.make_node("Add", ["nil", f"{name}_numbers"], [name]))
        graph = helper.make_graph(
            nodes,
            "attributes",
            [helper.make_tensor_value_info("input", floats, [1, 3, 72, 72])],
            [helper.make_tensor_value_info(name, floats, [1, len(numbers), 1, 1]) for name, numbers in outputs.items()],
            constants,
        )
        path = tmp_path / "attributes.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
        return path

    return made


VIEW = np.full((50, 90, 3), 120, np.uint8)


def test_the_likeliest_words_are_told_with_their_probability_and_the_model(model):
    reader = BarrierAttributes(model(type=[0.1, 0.0, 0.1, 0.8], color=[0.0, 0.9, 0.0, 0.1, 0.0, 0.0, 0.0]))
    told = reader.read(VIEW)
    assert (told.colour.name, told.colour.score, told.colour.model) == ("grey", 0.9, reader.id)
    assert (told.body.name, told.body.score) == ("van", 0.8)


def test_outputs_are_known_by_their_lengths_in_any_order(model):
    told = BarrierAttributes(model(color=[0, 0, 1, 0, 0, 0, 0], type=[0, 1, 0, 0])).read(VIEW)
    assert (told.colour.name, told.body.name) == ("yellow", "bus")


def test_what_the_model_is_not_sure_of_is_not_told(model):
    told = BarrierAttributes(model(type=[0.4, 0.3, 0.2, 0.1], color=[0.65, 0.35, 0, 0, 0, 0, 0])).read(VIEW)
    assert told == Attributes()
    assert likeliest(("red", "blue"), np.array([LEAST_SCORE, 1 - LEAST_SCORE]), "m").name == "red"


def test_a_model_of_something_else_is_refused_with_what_it_gives(model):
    with pytest.raises(ModelError, match="gives outputs of 4, 5 numbers; 7 colours and 4 shapes are needed"):
        BarrierAttributes(model(type=[1, 0, 0, 0], color=[1, 0, 0, 0, 0]))


def test_none_reads_nothing_and_auto_takes_what_was_fetched_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_attributes("none") is None
    assert open_attributes("auto") is None
    for ending in ("xml", "bin"):
        (tmp_path / f"vehicle-attributes-recognition-barrier-0039.{ending}").write_text("not a model")
    with pytest.raises(ModelError, match=r"cannot load 'vehicle-attributes-recognition-barrier-0039\.xml'"):
        open_attributes("auto")
    assert open_attributes("paint").id == "plain-paint@1"


@pytest.mark.shared_data
@pytest.mark.skipif(not (MODEL.is_file() and CLIP.is_file()), reason="wants the shared data files beside the repository")
def test_the_real_model_tells_a_red_car_on_a_motorway_from_the_asphalt():
    source = VideoFile("cam", CLIP)
    frame = next(source.frames()).image
    source.close()
    reader = BarrierAttributes(MODEL)
    painted = np.full((72, 72, 3), (30, 30, 180), np.uint8)
    assert reader.read(painted).colour.name == "red"
    told = reader.read(frame[400:500, 600:700])
    assert told.colour is None or 0.7 <= told.colour.score <= 1.0
