"""Number plates: which views are read, the text line on drawn plates, and the real finder where its file is."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from perception.crops import cut
from perception.plates import CONTEXT, FoundPlates, PlateTurns, TextLine, installed_reader, open_plates
from perception.synthetic.render.plates import plate_picture
from perception.video_file import VideoFile
from twin.errors import BadInput, MissingExtra, ModelError
from twin.events.ids import SECOND

DATA = Path(__file__).parents[3] / "shared" / "data"
FINDER = DATA / "weights" / "openvino_omz" / "vehicle-license-plate-detection-barrier-0106.xml"
CLIP = DATA / "video" / "highway_traffic.mp4"


def _installed() -> Path | None:
    try:
        return installed_reader()
    except MissingExtra:
        return None


wants_reader = pytest.mark.skipif(_installed() is None, reason="wants the text recognizer of '.[plates]'")


@pytest.fixture
def line(tmp_path):
    """``line(steps, characters)``: an ONNX recognizer that gives these distributions for any picture."""

    def made(steps: list[list[float]], characters: str) -> Path:
        floats = TensorProto.FLOAT
        numbers = np.array(steps, np.float32)[None]
        nodes = [
            helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
            helper.make_node("Sub", ["mean", "mean"], ["nil"]),
            helper.make_node("Add", ["nil", "numbers"], ["y"]),
        ]
        graph = helper.make_graph(
            nodes,
            "line",
            [helper.make_tensor_value_info("x", floats, [1, 3, 48, "width"])],
            [helper.make_tensor_value_info("y", floats, list(numbers.shape))],
            [onnx.numpy_helper.from_array(numbers, "numbers")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
        entry = model.metadata_props.add()
        entry.key, entry.value = "character", "\n".join(characters)
        path = tmp_path / "line.onnx"
        onnx.save(model, path)
        return path

    return made


PICTURE = np.full((20, 90, 3), 200, np.uint8)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_the_best_path_drops_blanks_and_repetitions_and_keeps_what_a_blank_parts(line, runtime):
    # columns: blank, A, 7, space
    a, seven, blank = [0.1, 0.8, 0.1, 0.0], [0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]
    text, score = TextLine(line([a, a, blank, a, seven, seven], "A7"), runtime=runtime).read(PICTURE)
    assert text == "AA7"
    assert score == pytest.approx((0.8 + 0.8 + 1.0) / 3)


def test_a_line_of_blanks_is_no_text(line):
    assert TextLine(line([[1.0, 0.0, 0.0, 0.0]] * 3, "A7")).read(PICTURE) == ("", 0.0)


def test_a_recognizer_that_does_not_name_its_characters_is_refused(line):
    with pytest.raises(ModelError, match="tells 4 characters apart, but its metadata names 3"):
        TextLine(line([[1.0, 0.0, 0.0, 0.0]], "A7B"))


def test_good_views_are_read_and_four_at_most_of_a_tracklet():
    turns = PlateTurns()
    assert not turns.takes("t1", 0, 0.2)
    assert [turns.takes("t1", 0, 0.9) for _ in range(5)] == [True] * 4 + [False]
    assert turns.takes("t2", 0, 0.9)
    turns.forget(61 * SECOND)
    assert turns.takes("t1", 61 * SECOND, 0.9)


def test_a_reader_without_a_finder_is_refused():
    assert open_plates(None, None) is None
    with pytest.raises(BadInput, match="give --plates FILE too"):
        open_plates(None, Path("reader.onnx"))


@wants_reader
@pytest.mark.parametrize("text", ["B00-4711", "XK17 ABC", "MU-ZH 902"])
def test_the_real_recognizer_reads_a_drawn_plate(text):
    read, score = TextLine(installed_reader()).read(plate_picture(text))
    assert [one for one in read if one.isalnum()] == [one for one in text if one.isalnum()]
    assert score > 0.7


wants_data = pytest.mark.skipif(
    not (FINDER.is_file() and CLIP.is_file()), reason="wants the shared data files beside the repository"
)


@wants_reader
@pytest.mark.shared_data
@wants_data
def test_a_drawn_plate_in_the_place_of_a_real_cars_is_found_and_read():
    source = VideoFile("cam", CLIP)
    frame = next(frame for frame in source.frames() if frame.index == 63).image
    source.close()
    view = cv2.resize(cut(frame, (928, 442, 1171, 692), margin=CONTEXT), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    assert FoundPlates(FINDER, installed_reader()).read(view) is None  # its own is a smear
    view[4 * 268 : 4 * 284, 4 * 215 : 4 * 252] = cv2.resize(plate_picture("KX063-AB"), (148, 64), interpolation=cv2.INTER_AREA)
    read = FoundPlates(FINDER, installed_reader()).read(view)
    assert read.text == "KX063AB"
    assert 0.5 < read.score <= 1.0


@wants_reader
@pytest.mark.shared_data
@wants_data
def test_where_no_plate_is_none_is_read():
    view = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (200, 240, 3), np.uint8), (0, 0), 9)
    assert FoundPlates(FINDER, installed_reader()).read(view) is None
