import asyncio
import threading
import time

import cv2
import msgspec
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from perception.frames import Frame
from perception.pictures import PictureSender, boxes_of, scaled
from twin.events.observations import DetectedBox
from twin.events.pictures import MOST_BOXES

SECOND = 1_000_000


class Taking:
    """A service that notes the pictures that it is sent."""

    def __init__(self) -> None:
        self.got = []
        self.boxes = []
        self.begun = threading.Event()
        self.came = threading.Condition()
        self.status = 204
        self.may_answer = threading.Event()
        self.may_answer.set()

    async def put(self, request):
        async with request.form() as form:
            body, boxes = await form["picture"].read(), msgspec.json.decode(form["boxes"])
        self.begun.set()
        await asyncio.to_thread(self.may_answer.wait, 10)
        with self.came:
            self.got.append((request.path_params["camera"], request.query_params["at"], body))
            self.boxes.append(boxes)
            self.came.notify_all()
        return Response(status_code=self.status)

    def wait_for(self, n: int) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.got) >= n, timeout=10)


@pytest.fixture
def service(serve):
    taking = Taking()
    path = "/v1/sites/lot/cameras/{camera}/picture"
    taking.url = serve(Starlette(routes=[Route(path, taking.put, methods=["PUT"])])).start().url
    return taking


def box(n=1, score=0.9) -> DetectedBox:
    return DetectedBox(
        tracklet=f"north:1:{n}",
        kind="car",
        score=score,
        box_px=(4.0, 5.0, 34.0, 25.0),
        box_sigma_px=(1.0, 1.0),
        truncated=("left",),
    )


def frame(camera="north", at=0, level=128) -> Frame:
    return Frame(camera, at, 0, np.full((40, 60, 3), level, np.uint8))


def test_a_picture_arrives_as_a_jpeg_with_its_time(service):
    with PictureSender(service.url, "lot") as pictures:
        pictures.offer(frame(at=1_767_268_800 * SECOND))
        service.wait_for(1)
    ((camera, at, body),) = service.got
    assert (camera, at) == ("north", "2026-01-01T12:00:00.000000Z")
    assert cv2.imdecode(np.frombuffer(body, np.uint8), 1).shape == (40, 60, 3)


def test_no_camera_sends_more_than_one_a_second(service):
    now_s = [0.0]
    with PictureSender(service.url, "lot", monotonic=lambda: now_s[0]) as pictures:
        for step in range(25):  # 2.4 s at 10 frames a second
            now_s[0] = step / 10
            pictures.offer(frame(at=step))
            pictures.offer(frame("south", at=step))
            if step % 10 == 0:
                service.wait_for(2 * (step // 10 + 1))
    assert sorted(camera for camera, _, _ in service.got) == ["north"] * 3 + ["south"] * 3


def test_an_offer_does_not_wait_for_the_answer(service):
    service.may_answer.clear()
    with PictureSender(service.url, "lot") as pictures:
        pictures.offer(frame())
        assert (pictures.n_sent, pictures.n_failed) == (0, 0)  # had it waited, it would have waited in vain
        service.may_answer.set()
        service.wait_for(1)


def test_a_picture_is_forgotten_where_the_service_is_away_or_refuses_and_that_is_said(service, caplog):
    service.status = 503
    for url in ("http://127.0.0.1:9", service.url):
        with PictureSender(url, "lot") as pictures:
            pictures.offer(frame())
            while pictures.n_failed == 0:
                time.sleep(0.01)
        assert pictures.n_sent == 0
        assert pictures.last_trouble in caplog.text


def test_the_boxes_of_its_frame_go_with_a_picture_in_one_request(service):
    with PictureSender(service.url, "lot") as pictures:
        pictures.offer(frame(), [box(1), box(2, 0.6)])
        service.wait_for(1)
    (seen,) = service.boxes
    assert seen["frame_px"] == [60, 40]
    assert [(one["tracklet"], one["score"]) for one in seen["boxes"]] == [("north:1:1", 0.9), ("north:1:2", 0.6)]
    assert seen["boxes"][0]["box_px"] == [4.0, 5.0, 34.0, 25.0]
    assert seen["boxes"][0]["truncated"] == ["left"]


def test_a_large_picture_is_sent_smaller_and_its_boxes_stay_in_pixels_of_the_frame(service):
    with PictureSender(service.url, "lot", longest_px=30) as pictures:
        pictures.offer(frame(), [box()])
        service.wait_for(1)
    ((_, _, body),) = service.got
    assert cv2.imdecode(np.frombuffer(body, np.uint8), 1).shape == (20, 30, 3)
    assert service.boxes[0]["frame_px"] == [60, 40]
    assert service.boxes[0]["boxes"][0]["box_px"] == [4.0, 5.0, 34.0, 25.0]


def test_a_small_picture_is_not_made_larger():
    image = frame().image
    assert scaled(image, 1280) is image


def test_of_too_many_boxes_the_surest_go():
    seen = boxes_of(frame(), [box(n, score=n / 1000) for n in range(1, MOST_BOXES + 11)])
    assert len(seen.boxes) == MOST_BOXES
    assert min(one.score for one in seen.boxes) == 0.011


def test_while_one_picture_is_on_its_way_the_newest_waits_in_the_place_of_older_ones(service):
    now_s = [0.0]
    service.may_answer.clear()
    with PictureSender(service.url, "lot", monotonic=lambda: now_s[0]) as pictures:
        for step in range(4):
            now_s[0] = float(step)
            pictures.offer(frame(at=step * SECOND))
            assert service.begun.wait(10)
        service.may_answer.set()
        service.wait_for(2)
    assert [at[17:19] for _, at, _ in service.got] == ["00", "03"]
