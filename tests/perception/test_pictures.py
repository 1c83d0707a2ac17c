import asyncio
import threading
import time

import cv2
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from perception.frames import Frame
from perception.pictures import PictureSender

SECOND = 1_000_000


class Taking:
    """A service that notes the pictures that it is sent."""

    def __init__(self) -> None:
        self.got = []
        self.came = threading.Condition()
        self.status = 204
        self.may_answer = threading.Event()
        self.may_answer.set()

    async def put(self, request):
        body = await request.body()
        await asyncio.to_thread(self.may_answer.wait, 10)
        with self.came:
            self.got.append((request.path_params["camera"], request.query_params["at"], body))
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


def test_a_picture_is_forgotten_where_the_service_is_away_or_refuses(service):
    service.status = 503
    for url in ("http://127.0.0.1:9", service.url):
        with PictureSender(url, "lot") as pictures:
            pictures.offer(frame())
            while pictures.n_failed == 0:
                time.sleep(0.01)
        assert pictures.n_sent == 0
        assert pictures.last_trouble
