from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.detect import Detections
from perception.stillness import FULL_BOX_EVERY, Stillness
from perception.track import CameraTracker
from twin.events.ids import SECOND


def detections(*boxes: tuple[float, ...], scores: tuple[float, ...] = (), kinds: tuple[str, ...] = ()) -> Detections:
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(n, 4), np.array(scores or (0.9,) * n, np.float32), kinds or ("car",) * n
    )


def test_two_cars_that_pass_each_other_keep_their_tracklets():
    tracker = CameraTracker("north", 7, min_score=0.3)
    names: list[list[str]] = []
    for i in range(40):
        right, left = (10 + 8 * i, 100, 90 + 8 * i, 150), (320 - 8 * i, 180, 400 - 8 * i, 230)
        names.append([box.tracklet for box in tracker.update(i * 100_000, detections(right, left))])
    assert names[0] == []  # a tracklet starts with its second detection
    assert all(frame == ["north:7:1", "north:7:2"] for frame in names[1:])
    assert tracker.n_tracklets == 2


def test_a_gap_under_a_second_keeps_the_tracklet_and_a_long_one_ends_it():
    tracker = CameraTracker("north", 1, min_score=0.3)
    box = (10, 10, 90, 60)
    for i in range(5):
        tracker.update(i * 100_000, detections(box))
    for i in range(5, 10):
        assert tracker.update(i * 100_000, detections()) == []
    assert tracker.update(1_000_000, detections(box))[0].tracklet == "north:1:1"
    for i in range(11, 40):
        tracker.update(i * 100_000, detections())
    tracker.update(4_000_000, detections(box))
    assert tracker.update(4_100_000, detections(box))[0].tracklet == "north:1:2"


def test_low_scores_continue_a_tracklet_but_start_none():
    tracker = CameraTracker("north", 1, min_score=0.4)
    box = (10, 10, 90, 60)
    for i in range(4):
        assert tracker.update(i * 100_000, detections(box, scores=(0.2,))) == []
    for i in range(4, 7):
        tracker.update(i * 100_000, detections(box))
    assert len(tracker.update(700_000, detections(box, scores=(0.2,)))) == 1


def test_a_tracklet_ends_where_its_box_jumps_to_a_neighbours_place():
    """The near one drives off behind a pillar; the one beside it, hidden until now, is where its box nearly was."""
    tracker = CameraTracker("north", 1, min_score=0.4)
    near, beside, hidden = (100, 100, 200, 160), (160, 96, 260, 150), (125, 88, 225, 142)
    for i in range(10):
        names = [box.tracklet for box in tracker.update(i * 100_000, detections(near, beside))]
    assert names == ["north:1:1", "north:1:2"]
    names = [box.tracklet for box in tracker.update(1_000_000, detections(hidden, beside))]
    assert names == ["north:1:2", "north:1:3"]
    assert tracker.n_tracklets == 3


def test_a_jump_where_nobody_else_is_ends_no_tracklet():
    tracker = CameraTracker("north", 1, min_score=0.4)
    for i in range(10):
        tracker.update(i * 100_000, detections((100, 100, 200, 160), (500, 100, 600, 160)))
    names = [box.tracklet for box in tracker.update(1_000_000, detections((125, 88, 225, 142), (500, 100, 600, 160)))]
    assert sorted(names) == ["north:1:1", "north:1:2"]


def test_a_fast_vehicle_beside_others_keeps_its_tracklet():
    tracker = CameraTracker("north", 1, min_score=0.4)
    parked = [(40 + 90 * n, 90, 120 + 90 * n, 140) for n in range(6)]
    for i in range(16):
        boxes = tracker.update(i * 100_000, detections((10 + 35 * i, 110, 110 + 35 * i, 170), *parked))
    assert tracker.n_tracklets == 7
    assert len(boxes) == 7


def test_kind_is_the_one_with_most_score_so_far():
    tracker = CameraTracker("north", 1, min_score=0.3)
    seen = []
    for i, kind in enumerate(["car", "car", "truck", "truck", "truck"]):
        seen += [box.kind for box in tracker.update(i * 100_000, detections((10, 10, 90, 60), kinds=(kind,)))]
    # votes start with the second frame: car 1, truck 1 (a tie goes to the first by name), truck 2, truck 3
    assert seen == ["car", "car", "truck", "truck"]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(5, 90), st.floats(0.1, 1.0)), max_size=5),
        max_size=12,
    )
)
def test_a_frame_never_names_a_tracklet_twice_and_boxes_are_those_detected(scene):
    tracker = CameraTracker("north", 1, min_score=0.3)
    for i, row in enumerate(scene):
        given_boxes = [(x, y, x + side, y + side) for x, y, side, _ in row]
        boxes = tracker.update(i * 100_000, detections(*given_boxes, scores=tuple(score for *_, score in row)))
        names = [box.tracklet for box in boxes]
        assert len(set(names)) == len(names)
        assert all(box.box_px in [tuple(map(float, one)) for one in given_boxes] for box in boxes)


def test_a_parked_car_is_sent_in_full_every_five_seconds():
    stillness = Stillness()
    full = [
        i
        for i in range(200)
        if not stillness.is_unchanged("t", i * 100_000, (10.0 + 0.3 * (i % 3), 10.0, 90.0, 60.0), (2.0, 2.0))
    ]
    # one second in full, until it is known to stand; then every five seconds, counted from the last full box
    assert full[:10] == list(range(10))
    assert all(late - early == FULL_BOX_EVERY // 100_000 for early, late in pairwise(full[9:]))
    assert len(full) == 10 + 3


def test_a_creeping_car_is_always_sent_in_full():
    stillness = Stillness()
    for i in range(100):  # 0.4 px a frame of 100 ms: 4 px a second, twice the tolerance
        x = 10.0 + 0.4 * i
        assert not stillness.is_unchanged("t", i * 100_000, (x, 10.0, x + 80.0, 60.0), (2.0, 2.0))


def test_a_car_that_starts_is_sent_at_once():
    stillness = Stillness()
    for i in range(30):
        stillness.is_unchanged("t", i * 100_000, (10.0, 10.0, 90.0, 60.0), (2.0, 2.0))
    assert stillness.is_unchanged("t", 3 * SECOND, (10.0, 10.0, 90.0, 60.0), (2.0, 2.0))
    assert not stillness.is_unchanged("t", 3 * SECOND + 100_000, (14.0, 10.0, 94.0, 60.0), (2.0, 2.0))
    assert stillness.is_moving("t", 3 * SECOND + 100_000)


def test_a_person_who_passes_before_a_car_is_another_tracklet_and_so_is_the_car_behind():
    tracker = CameraTracker("north", 1, min_score=0.3)
    for i in range(6):
        person = (100.0 + 2 * i, 100.0, 113.0 + 2 * i, 130.0)
        assert [box.tracklet for box in tracker.update(i * 166_667, detections(person))] == ["north:1:1"] * (i > 0)
    car = (105.0, 98.0, 150.0, 130.0)  # it holds most of where the person is expected, which is gone
    seen = [box.tracklet for i in range(6, 9) for box in tracker.update(i * 166_667, detections(car))]
    assert seen == ["north:1:2"] * 2
