import threading

import numpy as np

from perception.frames import Frame
from perception.intake import Intake

IMAGE = np.zeros((2, 2, 3), np.uint8)


def frame(camera: str, at: int) -> Frame:
    return Frame(camera=camera, exposed_at=at, index=0, image=IMAGE)


def test_cameras_are_merged_by_exposure_time_however_they_arrive():
    intake = Intake(["a", "b"], newest_wins=False)

    def put_all(camera: str, times: range) -> None:
        for at in times:
            intake.put(frame(camera, at))
        intake.finish(camera)

    threads = [
        threading.Thread(target=put_all, args=("b", range(0, 60, 3))),
        threading.Thread(target=put_all, args=("a", range(0, 60, 2))),
    ]
    for thread in threads:
        thread.start()
    taken = []
    while (one := intake.take()) is not None:
        taken.append((one.exposed_at, one.camera))
    for thread in threads:
        thread.join()
    assert taken == sorted([(at, "a") for at in range(0, 60, 2)] + [(at, "b") for at in range(0, 60, 3)])
    assert intake.n_dropped == {"a": 0, "b": 0}


def test_in_real_time_the_newest_frame_wins_and_drops_are_counted():
    intake = Intake(["a", "b"], newest_wins=True)
    for at in range(5):
        assert intake.put(frame("a", at))
    first = intake.take()  # camera b has none and is not waited for
    assert first is not None
    assert first.exposed_at == 4
    assert intake.n_dropped == {"a": 4, "b": 0}


def test_in_real_time_cameras_take_turns_when_the_detector_is_too_slow_for_all():
    intake, taken = Intake(["a", "b", "c"], newest_wins=True), []
    for at in range(30):
        for camera in "abc":  # all have a new frame whenever the detector is free
            intake.put(frame(camera, at))
        taken.append(intake.take().camera)
    assert [taken.count(camera) for camera in "abc"] == [10, 10, 10]


def test_stop_gives_out_what_waits_and_refuses_more():
    intake = Intake(["a", "b"], newest_wins=False)
    intake.put(frame("a", 1))
    intake.stop()
    assert not intake.put(frame("a", 2))
    first = intake.take()
    assert first is not None
    assert first.exposed_at == 1
    assert intake.take() is None


def test_stop_frees_a_camera_that_waits_for_room():
    intake = Intake(["a"], newest_wins=False)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.extend(intake.put(frame("a", at)) for at in range(20)))
    thread.start()
    while not intake.take():
        pass
    intake.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert answers[-1] is False
