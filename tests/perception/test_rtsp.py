import time
from collections import deque

import pytest

from perception.rtsp import RtspStream, without_password
from twin.backoff import Backoff
from twin.errors import SourceError

AT_ONCE = Backoff(lambda: 0.0, first_s=0.02, longest_s=0.02)


def test_frames_of_a_real_stream_arrive_with_wall_clock_times(rtsp, drive):
    server = rtsp.RtspServer(drive(20), fps=20)
    stream = RtspStream("north", server.url, backoff=AT_ONCE)
    started_at = time.time_ns() // 1000
    taken = []
    for frame in stream.frames():
        taken.append(frame)
        if len(taken) == 8:
            stream.interrupt()
    assert len(taken) == 8
    assert taken[0].image.shape == (192, 320, 3)
    assert taken[0].image[90, 50].tolist() == pytest.approx([0, 0, 255], abs=40)
    times = [frame.exposed_at for frame in taken]
    assert times == sorted(set(times))
    assert started_at <= times[0]
    assert times[-1] <= time.time_ns() // 1000
    assert times[-1] - times[0] > 100_000  # 350 ms apart when taken; a burst out of a buffer would give microseconds
    assert stream.is_live
    assert stream.clock == "stream"


def test_a_dropped_connection_is_made_again_and_times_go_on(rtsp, drive):
    server = rtsp.RtspServer(drive(20), fps=40, frames_a_connection=(40, 40, None))
    stream = RtspStream("north", server.url, max_tries=3, backoff=AT_ONCE)
    taken = []
    for frame in stream.frames():
        taken.append(frame)
        if stream.n_connections == 3:
            stream.interrupt()
    assert server.n_plays >= 3
    assert stream.n_connections == 3
    assert [frame.index for frame in taken] == list(range(len(taken)))
    times = [frame.exposed_at for frame in taken]
    assert times == sorted(set(times))


def test_a_camera_that_never_answers_is_given_up_after_the_tries_without_its_password():
    stream = RtspStream("north", "rtsp://admin:secret@127.0.0.1:9/live", max_tries=3, timeout_s=1.0, backoff=AT_ONCE)
    with pytest.raises(SourceError, match="gave no frame in 3 tries") as raised:
        list(stream.frames())
    assert "rtsp://***@127.0.0.1:9/live" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_camera_that_stops_for_good_is_given_up_after_its_frames(rtsp, drive):
    server = rtsp.RtspServer(drive(20), fps=40, frames_a_connection=(40, 0))
    stream = RtspStream("north", server.url, max_tries=3, timeout_s=2.0, backoff=AT_ONCE)
    taken: deque = deque()
    with pytest.raises(SourceError, match=r"after \d+ frames in all"):
        taken.extend(stream.frames())
    assert len(taken) >= 5


def test_addresses_are_shown_without_user_and_password():
    assert without_password("rtsp://host/a@b") == "rtsp://host/a@b"
    assert without_password("rtsp://u:p@host/a") == "rtsp://***@host/a"
