import cv2
import numpy as np
import pytest

from perception.training.frames_dataset import KINDS, Boxes, boxes_of, decoded, read_frames, targets_of
from twin.errors import BadInput


def boxes(*px, visible=1.0, kind=0):
    n = len(px)
    return Boxes(np.array(px, np.float32).reshape(-1, 4), np.full(n, kind, np.int64), np.full(n, visible, np.float32))


def test_a_vehicle_a_fifth_visible_and_six_pixels_low_is_a_target():
    assert len(targets_of(boxes((0, 0, 20, 6), visible=0.2)).boxes_px) == 1


@pytest.mark.parametrize(
    ("box", "visible", "kind"), [((0, 0, 20, 5.9), 1.0, 0), ((0, 0, 20, 20), 0.19, 0), ((0, 0, 20, 20), 1.0, -1)]
)
def test_what_is_too_small_too_hidden_or_of_no_kind_is_ignored(box, visible, kind):
    targets = targets_of(boxes(box, visible=visible, kind=kind))
    assert len(targets.boxes_px) == len(targets.kinds) == 0
    assert targets.ignored_px.tolist() == [pytest.approx(box)]


def test_a_frame_without_vehicles_has_no_targets():
    targets = targets_of(boxes())
    assert targets.boxes_px.shape == targets.ignored_px.shape == (0, 4)


def test_what_a_cut_takes_away_is_no_longer_visible():
    half_out = boxes((-10, 0, 10, 20), visible=0.8).moved(np.array([[1.0, 0, 0], [0, 1.0, 0]]), (0, 0, 100, 100))
    assert half_out.px.tolist() == [[0, 0, 10, 20]]
    assert half_out.visible.tolist() == pytest.approx([0.4])


def test_boxes_outside_the_picture_are_gone():
    assert len(boxes((-30, 0, -10, 20)).moved(np.array([[1.0, 0, 0], [0, 1.0, 0]]), (0, 0, 100, 100)).px) == 0


def test_a_mirrored_box_has_its_corners_in_order():
    mirrored = boxes((10, 5, 30, 25)).moved(np.array([[-2.0, 0, 100], [0, 1.0, 3]]), (0, 0, 100, 100))
    assert mirrored.px.tolist() == [[40, 8, 80, 28]]


def test_boxes_are_scaled_with_the_frame(truth, frame):
    scaled = boxes_of(frame(truth((96, 54, 192, 108), "bus", 0.5)), (640, 360))
    assert scaled.px.tolist() == [pytest.approx([64, 36, 128, 72])]
    assert [KINDS[kind] for kind in scaled.kinds] == ["bus"]
    assert scaled.visible.tolist() == [0.5]


def test_parts_of_several_processes_are_one_dataset_in_the_order_of_the_frames(painted_frames):
    folder = painted_frames(4)
    whole = read_frames(folder)
    lines = (folder / "frames-000000.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "frames-000000.jsonl").write_bytes(lines[3] + lines[0])
    (folder / "frames-000002.jsonl").write_bytes(lines[2] + lines[1] + lines[0])  # one of them twice
    parts = read_frames(folder)
    assert [frame.number for frame in parts.frames] == [0, 1, 2, 3]
    assert parts.digest == whole.digest


def test_another_picture_is_another_dataset(painted_frames):
    folder = painted_frames(2)
    before = read_frames(folder).digest
    cv2.imwrite(str(folder / "images/000001.jpg"), np.zeros((180, 320, 3), np.uint8))
    assert read_frames(folder).digest != before


def test_a_line_that_was_being_written_is_left_out(painted_frames):
    folder = painted_frames(3)
    path = folder / "frames-000000.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert len(read_frames(folder)) == 2


def test_a_wrong_line_is_named(painted_frames):
    folder = painted_frames(1)
    with (folder / "frames-000000.jsonl").open("ab") as lines:
        lines.write(b'{"image": 3}\n')
    with pytest.raises(BadInput, match=r"frames-000000\.jsonl' line 2: .*str"):
        read_frames(folder)


def test_a_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(BadInput, match="give a folder of rendered frames"):
        read_frames(tmp_path)


def test_a_missing_picture_is_named(painted_frames):
    folder = painted_frames(2)
    (folder / "images/000001.jpg").unlink()
    with pytest.raises(BadInput, match=r"000001\.jpg"):
        read_frames(folder)


def test_a_picture_of_another_size_than_its_label_is_refused(painted_frames):
    folder = painted_frames(1)
    cv2.imwrite(str(folder / "images/000000.jpg"), np.zeros((90, 160, 3), np.uint8))
    with pytest.raises(BadInput, match=r"is 160x90, but its label says 320x180"):
        read_frames(folder).image(0)


def test_decoded_frames_are_kept(painted_frames, tmp_path):
    dataset = read_frames(painted_frames(3))
    first = decoded(dataset, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    written_ns = kept.stat().st_mtime_ns
    again = decoded(dataset, tmp_path / "cache")
    assert first.shape == (3, 360, 640, 3)
    assert np.array_equal(again[2], cv2.resize(dataset.image(2), (640, 360)))
    assert kept.stat().st_mtime_ns == written_ns
