import hashlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception.colour import colour_descriptor
from perception.crops import BestViews, best_quality_of, covered_shares, cut, encode_jpeg, quality_of
from perception.embed import ColourEmbedder, open_embedder, quantized
from twin.errors import ModelError
from twin.events.ids import SECOND

RED, BLUE = (0, 0, 255), (255, 0, 0)


@pytest.fixture
def textured() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 255, (200, 300, 3), np.uint8)


def test_quality_falls_with_size_blur_truncation_and_cover(textured):
    box = (50, 50, 200, 180)
    best = quality_of(textured, box, (), 0.0)
    assert 0.9 < best <= 1.0
    assert quality_of(textured, (50, 50, 80, 70), (), 0.0) < best / 2
    assert quality_of(cv2.GaussianBlur(textured, (31, 31), 12), box, (), 0.0) < best / 2
    assert quality_of(textured, box, ("left",), 0.0) == pytest.approx(0.4 * best)
    assert quality_of(textured, box, (), 0.75) == pytest.approx(0.25 * best)


def test_cover_is_the_share_that_the_worst_other_box_takes():
    shares = covered_shares([(0, 0, 100, 100), (50, 0, 150, 100), (0, 0, 10, 10)])
    assert shares == pytest.approx([0.5, 0.5, 1.0])
    assert covered_shares([(0, 0, 5, 5)]) == [0.0]
    assert covered_shares([]) == []


@given(box=st.tuples(*(st.floats(-400, 800),) * 4))
def test_a_view_is_never_empty_and_never_outside(box):
    view = cut(np.zeros((200, 300, 3), np.uint8), box)
    assert min(view.shape[:2]) >= 1


def test_a_crops_name_is_the_hash_of_its_jpeg(textured):
    name, jpeg = encode_jpeg(textured)
    assert name == hashlib.sha256(jpeg).hexdigest()
    shape = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape
    assert shape == textured.shape


def kept_at(views: BestViews, qualities: list[float], *, is_moving: bool = True, step: int = 100_000) -> list[int]:
    return [
        i
        for i, quality in enumerate(qualities)
        if views.is_due("t", i * step, is_moving=is_moving) and views.keeps("t", i * step, quality)
    ]


def test_the_first_view_comes_from_the_fifth_frame_and_better_ones_by_a_quarter():
    assert kept_at(BestViews(), [0.4, 0.4, 0.4, 0.4, 0.4, 0.49, 0.5, 0.55, 0.63, 0.63]) == [4, 6, 8]


def test_bad_views_are_never_kept():
    assert kept_at(BestViews(), [0.05] * 200) == []


def test_a_moving_vehicle_is_kept_again_every_ten_seconds_and_a_parked_one_is_not():
    assert kept_at(BestViews(), [0.5] * 25, step=SECOND) == [4, 14, 24]
    rising = [0.1 * 1.3**i for i in range(9)] + [0.9] * 30
    assert len(kept_at(BestViews(), rising, is_moving=False, step=SECOND)) == 5


@given(qualities=st.lists(st.floats(0.0, 1.0), max_size=80))
def test_within_ten_seconds_at_most_five_views_are_kept(qualities):
    assert len(kept_at(BestViews(), qualities)) <= 5


def test_colours_tell_a_red_car_from_a_blue_one_at_any_size(paint):
    def look(colour, size):
        return colour_descriptor(paint(size, (colour, (size[0] * 0.1, size[1] * 0.1, size[0] * 0.9, size[1] * 0.9))))

    red, small_red, blue = look(RED, (200, 120)), look(RED, (60, 40)), look(BLUE, (200, 120))
    assert red.shape == (128,)
    assert np.linalg.norm(red) == pytest.approx(1.0, abs=1e-5)
    assert float(red @ small_red) > 0.95
    assert float(red @ blue) < 0.6


def test_where_a_colour_is_matters(paint):
    over = colour_descriptor(paint((90, 90), (RED, (0, 0, 90, 30)), (BLUE, (0, 30, 90, 90))))
    under = colour_descriptor(paint((90, 90), (BLUE, (0, 0, 90, 60)), (RED, (0, 60, 90, 90))))
    assert float(over @ under) < 0.7


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=64))
def test_quantized_embeddings_are_unit_vectors_in_127ths(values):
    vector = np.array(values, np.float32)
    quantised = np.frombuffer(quantized(vector), np.int8).astype(np.float64)
    assert len(quantised) == len(values)
    if np.linalg.norm(vector) > 1e-3:
        # each component is rounded by at most half a step
        assert np.linalg.norm(quantised) == pytest.approx(127.0, abs=0.5 * len(values) ** 0.5 + 0.1)


def test_an_onnx_embedder_gives_its_models_vector(tmp_path, paint):
    import onnx
    from onnx import TensorProto, helper

    # the mean of each channel: for a red picture only the first of R, G, B is high
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["y"])],
        "means",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 64, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, 1, 1])],
    )
    path = tmp_path / "means.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    view = paint((50, 50), (RED, (0, 0, 50, 50)))
    for runtime in ("openvino", "onnxruntime"):
        embedder = open_embedder(path, runtime=runtime)
        r, g, b = np.frombuffer(embedder.embed(view), np.int8)
        # (1 - 0.485) / 0.229 = 2.25, -0.456 / 0.224 = -2.04, -0.406 / 0.225 = -1.80, over their length 3.53
        assert (r, g, b) == pytest.approx((81, -73, -65), abs=1)
        assert embedder.id.startswith("means@")


def test_a_model_without_one_vector_is_no_embedder(colour_detector):
    with pytest.raises(ModelError, match=r"\(1, E\) is needed"):
        open_embedder(colour_detector())


def test_without_a_model_colours_are_described(paint):
    embedder = open_embedder(None)
    assert isinstance(embedder, ColourEmbedder)
    assert len(embedder.embed(paint((40, 40)))) == 128


def test_a_view_that_is_not_wanted_at_its_best_would_not_be_kept():
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (200, 300, 3), np.uint8)
    rated, shortcut, n_spared = BestViews(), BestViews(), 0
    for number in range(400):
        x, y = rng.uniform(0, 200), rng.uniform(0, 120)
        box, covered, at = (x, y, x + rng.uniform(10, 100), y + rng.uniform(10, 80)), rng.uniform(0, 0.6), number * SECOND // 5
        truncated = ("left",) if rng.random() < 0.3 else ()
        is_due = rated.is_due("t", at, is_moving=True)
        assert shortcut.is_due("t", at, is_moving=True) == is_due
        if not is_due:
            continue
        quality = quality_of(image, box, truncated, covered)
        most = best_quality_of(image, box, truncated, covered)
        assert quality <= most
        is_wanted = shortcut.wants("t", at, most)
        n_spared += not is_wanted
        assert rated.keeps("t", at, quality) == (is_wanted and shortcut.keeps("t", at, quality))
    assert n_spared > 20
