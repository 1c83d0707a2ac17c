import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perception.detect import Detections, Letterbox, decode_yolov8, decode_yolox, head_of, iou, n_cells, suppress, vehicles
from twin.errors import ModelError, ShapeError

sizes = st.tuples(st.integers(64, 2000), st.integers(64, 2000))
corners = arrays(np.float32, (12, 4), elements=st.floats(0, 100, width=32)).map(
    lambda raw: np.hstack((raw[:, :2], raw[:, :2] + np.float32(1) + raw[:, 2:]))
)


@given(frame=sizes, inside=sizes, is_centred=st.booleans(), share=st.floats(0.0, 1.0))
def test_letterbox_takes_points_there_and_back(frame, inside, is_centred, share):
    fit = Letterbox.fit(frame, inside, is_centred=is_centred)
    box = np.array([[0.0, 0.0, frame[0] * share, frame[1] * share]], np.float32)
    in_input = box * fit.scale + np.array([*fit.pad_px, *fit.pad_px])
    assert np.all(in_input[:, 2:] <= np.array(inside) + 1.0)
    assert fit.to_frame(in_input.astype(np.float32)) == pytest.approx(box, abs=0.05, rel=1e-3)


def test_letterbox_pads_in_the_middle_or_at_the_end():
    image = np.full((100, 200, 3), 255, np.uint8)
    middle = Letterbox.fit((200, 100), (400, 400), is_centred=True).apply(image)
    corner = Letterbox.fit((200, 100), (400, 400), is_centred=False).apply(image)
    assert middle[99, 0, 0] == 114
    assert middle[100, 0, 0] == 255
    assert middle[299, 399, 0] == 255
    assert middle[300, 0, 0] == 114
    assert corner[0, 0, 0] == 255
    assert corner[200, 0, 0] == 114


def test_yolox_cell_decodes_by_hand():
    # 64x64 input: 64 cells of stride 8, 16 of stride 16, 4 of stride 32. Row 64 + 5 is cell (1, 1) of stride 16.
    raw = np.zeros((n_cells((64, 64)), 6), np.float32)
    raw[69] = [0.5, 0.25, np.log(2.0), np.log(1.0), 0.8, 0.5]
    boxes, scores = decode_yolox(raw, (64, 64))
    # centre (1.5, 1.25) * 16 = (24, 20); size (32, 16)
    assert boxes[69] == pytest.approx([8.0, 12.0, 40.0, 28.0])
    assert scores[69] == pytest.approx([0.4])


def test_yolov8_column_decodes_by_hand():
    boxes, scores = decode_yolov8(np.array([[24.0], [20.0], [32.0], [16.0], [0.1], [0.9]], np.float32))
    assert boxes.tolist() == [[8.0, 12.0, 40.0, 28.0]]
    assert scores.shape == (1, 2)


def test_heads_are_told_by_their_shapes():
    assert head_of((1, 84, 8400), (640, 640)) == ("yolov8", 80)
    assert head_of((1, 3549, 85), (416, 416)) == ("yolox", 80)
    for shape in ((1, 8400, 4), (8400, 84), (1, 84, 8399), (2, 84, 8400)):
        with pytest.raises(ModelError, match="neither"):
            head_of(shape, (640, 640))


@given(boxes=corners, scores=arrays(np.float32, 12, elements=st.floats(0, 1, width=32), unique=True), limit=st.floats(0.1, 0.9))
def test_suppression_keeps_what_the_definition_says(boxes, scores, limit):
    kept = suppress(boxes, scores, limit).tolist()
    overlaps = iou(boxes, boxes)
    wanted: list[int] = []
    for row in sorted(range(12), key=lambda row: -scores[row]):
        if all(overlaps[row, other] <= np.float32(limit) for other in wanted):
            wanted.append(row)
    assert kept == wanted


def test_suppression_agrees_with_opencv():
    random = np.random.default_rng(3)
    low = random.uniform(0, 200, (80, 2))
    boxes = np.hstack((low, low + random.uniform(10, 80, (80, 2)))).astype(np.float32)
    scores = random.permutation(np.linspace(0.1, 0.9, 80)).astype(np.float32)
    as_sizes = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
    theirs = cv2.dnn.NMSBoxes(as_sizes.tolist(), scores.tolist(), 0.0, 0.45)
    assert suppress(boxes, scores, 0.45).tolist() == np.asarray(theirs).ravel().tolist()


def test_one_vehicle_that_scores_as_car_and_as_truck_is_one_vehicle():
    boxes = np.array([[0, 0, 50, 50], [1, 0, 50, 50], [100, 0, 150, 50], [200, 0, 250, 50]], np.float32)
    scores = np.array([[0.9, 0.0, 0.0], [0.0, 0.0, 0.7], [0.0, 0.9, 0.2], [0.0, 0.95, 0.05]], np.float32)
    found = vehicles(boxes, scores, ("car", None, "truck"), min_score=0.1)
    # the third is mostly a person, but a truck of 0.2 all the same; the fourth is no vehicle
    assert found.kinds == ("car", "truck")
    assert found.scores.tolist() == pytest.approx([0.9, 0.2])


def test_broken_numbers_are_no_boxes():
    boxes = np.array([[0, 0, np.nan, 50], [0, 0, np.inf, 50], [5, 5, 5, 50]], np.float32)
    assert len(vehicles(boxes, np.ones((3, 1), np.float32), ("car",), min_score=0.1)) == 0


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"2 kinds need boxes of shape \(2, 4\)"):
        Detections(np.zeros((1, 4), np.float32), np.zeros(2, np.float32), ("car", "car"))
