import numpy as np
import pytest

from perception.detect import Detections
from perception.training.detector_metrics import Seen, Share, compare, measure_detector
from perception.training.frames_dataset import read_frames

TALL, LOW, HIDDEN = (100, 100, 180, 150), (300, 100, 330, 115), (500, 100, 580, 150)


def found(*boxes: tuple[tuple[float, ...], float, str]) -> Detections:
    boxes = tuple(sorted(boxes, key=lambda box: -box[1]))
    return Detections(
        np.array([box for box, _, _ in boxes], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in boxes], np.float32),
        tuple(kind for _, _, kind in boxes),
    )


def test_small_and_hidden_vehicles_are_neither_hit_nor_miss(truth, frame):
    label = frame(truth(TALL), truth(LOW), truth(HIDDEN, visible=0.39))
    missed = compare("m", [Seen(label, found((TALL, 0.9, "car")))])
    met = compare("m", [Seen(label, found((TALL, 0.5, "car"), (LOW, 0.9, "car"), (HIDDEN, 0.8, "van")))])
    assert missed.map50 == met.map50 == 1.0
    assert met.ap50_by_kind["car"] == Share(1.0, 1)


def test_vehicles_of_every_size_count_where_sizes_are_not_left_out(truth, frame):
    label = frame(truth(TALL), truth(LOW), truth(HIDDEN, visible=0.39))
    metrics = compare("m", [Seen(label, found((TALL, 0.9, "car")))])
    assert metrics.map50_all_sizes == pytest.approx(51 / 101, abs=1e-4)  # one of two
    assert metrics.map50_all == pytest.approx(34 / 101, abs=1e-4)  # one of three


def test_heights_are_those_of_a_frame_of_540_rows(truth, frame):
    low_in_half_a_frame = frame(truth((10, 10, 30, 19)), frame_px=(480, 270))  # 9 px of 270 are 18 of 540
    metrics = compare("m", [Seen(low_in_half_a_frame, found())])
    assert metrics.recall == Share(0.0, 1)
    assert metrics.recall_by_height["16-24"] == Share(0.0, 1)
    assert (metrics.ap50, metrics.ap50_own_px) == (0.0, None)  # in its own pixels none is high enough


def test_the_mean_is_over_the_kinds_that_are_there(truth, frame):
    label = frame(truth(TALL), truth(HIDDEN, "bus"))
    metrics = compare("m", [Seen(label, found((TALL, 0.9, "car")))])
    assert metrics.map50 == 0.5
    assert metrics.ap50_by_kind["truck"] == Share(None, 0)


def test_a_vehicle_called_by_another_kind_is_found_but_confused(truth, frame):
    metrics = compare("m", [Seen(frame(truth(TALL, "van")), found((TALL, 0.9, "car")))])
    assert metrics.map50 == 0.0
    assert metrics.ap50 == 1.0
    assert metrics.recall == Share(1.0, 1)
    assert metrics.kind_accuracy["van"] == Share(0.0, 1)
    assert metrics.confusion["van"]["car"] == 1


def test_recall_counts_boxes_from_the_score_that_starts_a_tracklet(truth, frame):
    label = frame(truth(TALL), truth(HIDDEN))
    metrics = compare("m", [Seen(label, found((TALL, 0.3, "car"), (HIDDEN, 0.29, "car")))])
    assert metrics.recall == Share(0.5, 2)


def test_recall_is_told_by_visibility_up_to_whole_vehicles(truth, frame):
    label = frame(truth(TALL, visible=1.0), truth(HIDDEN, visible=0.2), truth((700, 100, 780, 150), visible=0.19))
    metrics = compare("m", [Seen(label, found((TALL, 0.9, "car")))])
    assert metrics.recall_by_visibility["0.8-1"] == Share(1.0, 1)
    assert metrics.recall_by_visibility["0.2-0.4"] == Share(0.0, 1)
    assert metrics.recall_by_visibility["0-0.2"] == Share(0.0, 1)


def test_false_boxes_are_those_that_meet_no_vehicle(truth, frame):
    label = frame(truth(TALL), truth(HIDDEN, visible=0.05))
    metrics = compare(
        "m", [Seen(label, found((HIDDEN, 0.9, "car"), ((800, 400, 850, 440), 0.8, "car"))), Seen(frame(), found())]
    )
    assert metrics.false_per_frame == 0.5


def test_lights_are_told_apart(truth, frame):
    seen = [Seen(frame(truth(TALL)), found((TALL, 0.9, "car"))), Seen(frame(truth(TALL), light="night"), found())]
    assert compare("m", seen).map50_by_light == {"day": Share(1.0, 1), "night": Share(0.0, 1)}


def test_a_detector_is_shown_every_frame_of_the_folder(painted_frames):
    dataset = read_frames(painted_frames(3))

    class Oracle:
        id, runtime = "oracle", "none"
        n_shown = 0

        def detect(self, image):
            label = dataset.frames[self.n_shown]
            self.n_shown += 1
            assert (image.shape[1], image.shape[0]) == label.frame_px
            return found(*((vehicle.box_px, 0.9, vehicle.kind) for vehicle in label.vehicles))

    metrics = measure_detector(Oracle(), dataset)  # pyright: ignore[reportArgumentType]
    assert (metrics.frames, metrics.map50, metrics.map50_95) == (3, 1.0, 1.0)
