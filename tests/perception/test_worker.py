import itertools
import threading

import msgspec
import numpy as np
import pytest
import zstandard

from perception.detector import open_detector
from perception.embed import ColourEmbedder
from perception.frames import Frame
from perception.sinks import FileSink
from perception.sources import open_source
from perception.worker import Feed, Pace, Worker
from twin.errors import BadInput, ModelError, SourceError
from twin.events.codec import from_json
from twin.events.observations import FrameObserved, TrackletEmbedded


@pytest.fixture
def work(colour_detector, tmp_path):
    """``work(feeds, pace)``: run a worker into a file; returns it and the events of the file."""

    def run(feeds, pace=None, name="out.jsonl", detector=None, before=lambda worker: None, **given):
        sink = FileSink(tmp_path / name, site="lot", device="edge")
        detects = detector or open_detector(colour_detector())
        worker = Worker(feeds, detects, ColourEmbedder(), sink, min_score=0.3, pace=pace or Pace(), **given)
        before(worker)
        try:
            worker.run()
        finally:
            sink.close()
        raw = (tmp_path / name).read_bytes()
        if name.endswith(".zst"):
            raw = zstandard.ZstdDecompressor().stream_reader(raw).read()
        return worker, [from_json(line) for line in raw.splitlines()]

    return run


class Painted:
    """A source of painted frames that can break, or go on until it is interrupted."""

    clock = "file"

    def __init__(self, camera, images, *, breaks=False, is_live=False, period=100_000):
        self.camera = camera
        self.images = images
        self.breaks = breaks
        self.is_live = is_live
        self.period = period
        self.interrupted = threading.Event()
        self.n_closed = 0

    def frames(self):
        index = 0
        while not self.interrupted.is_set() and (self.is_live or index < len(self.images)):
            yield Frame(self.camera, index * self.period, index, self.images[index % len(self.images)])
            index += 1
            if self.is_live:
                self.interrupted.wait(0.002)
        if self.breaks:
            raise SourceError(f"broke after {index} frames")

    def interrupt(self):
        self.interrupted.set()

    def close(self):
        self.n_closed += 1


def test_a_driving_car_in_a_video_is_one_tracklet_in_one_file(work, camera, drive, write_video, tmp_path):
    video = write_video(tmp_path / "a.mp4", drive(30))
    worker, events = work([Feed(camera, open_source(camera, str(video)))])
    frames = [event.payload for event in events if isinstance(event.payload, FrameObserved)]
    assert len(frames) == 30
    assert {box.tracklet for frame in frames for box in frame.boxes} == {"north:1:1"}
    last = frames[-1].boxes[0].box_px
    assert last == pytest.approx((10 + 4 * 29, 60, 90 + 4 * 29, 120), abs=3)
    assert [event.key.sequence for event in events] == list(range(1, len(events) + 1))
    views = [event.payload for event in events if isinstance(event.payload, TrackletEmbedded)]
    crops = {path.stem for path in (tmp_path / "out.jsonl.crops").iterdir()}
    assert crops == {view.personal.crop for view in views}
    summary = worker.summaries["north"]
    assert (summary.frames, summary.detections, summary.tracklets, summary.embeddings) == (30, 30, 1, len(views))
    assert summary.error is None


def test_who_looks_is_shown_every_frame_with_its_own_boxes(work, camera, drive, write_video, tmp_path):
    video, looked = write_video(tmp_path / "a.mp4", drive(12)), []
    _, events = work(
        [Feed(camera, open_source(camera, str(video)))], look=lambda frame, boxes: looked.append((frame.exposed_at, boxes))
    )
    sent = [(event.occurred_at, event.payload.boxes) for event in events if isinstance(event.payload, FrameObserved)]
    assert looked == sent
    assert len(looked[-1][1]) == 1


def test_the_same_video_gives_the_same_file(work, camera, drive, write_video, tmp_path):
    video = write_video(tmp_path / "a.mp4", drive(12))
    for name in ("a.jsonl", "b.jsonl.zst"):
        work([Feed(camera, open_source(camera, str(video)))], name=name)
    plain = zstandard.ZstdDecompressor().stream_reader((tmp_path / "b.jsonl.zst").read_bytes()).read()
    assert (tmp_path / "a.jsonl").read_bytes() == plain


def test_several_cameras_are_written_in_exposure_order(work, camera, drive):
    other = msgspec.structs.replace(camera, id="south")
    _, events = work([Feed(camera, Painted("north", drive(9))), Feed(other, Painted("south", drive(6), period=150_000))])
    order = [(event.occurred_at, event.payload.camera) for event in events if isinstance(event.payload, FrameObserved)]
    assert order == sorted(order)
    assert len(order) == 15


def test_a_source_that_breaks_ends_its_camera_alone_and_loses_nothing(work, camera, drive):
    other = msgspec.structs.replace(camera, id="south")
    broken = Painted("north", drive(3), breaks=True)
    worker, events = work([Feed(camera, broken), Feed(other, Painted("south", drive(8)))])
    assert worker.summaries["north"].error == "broke after 3 frames"
    assert worker.summaries["south"].error is None
    assert (worker.summaries["north"].frames, worker.summaries["south"].frames) == (3, 8)
    assert sum(isinstance(event.payload, FrameObserved) for event in events) == 11
    assert broken.n_closed == 1


def test_a_video_of_another_size_than_the_calibration_is_refused(work, camera, paint):
    worker, events = work([Feed(camera, Painted("north", [paint((160, 96))]))])
    assert "calibrated for frames of 320x192, but its video has 160x96" in worker.summaries["north"].error
    assert events == []


def test_max_frames_and_fps_limit_each_camera(work, camera, drive):
    worker, _ = work([Feed(camera, Painted("north", drive(20)))], Pace(max_frames=5))
    assert worker.summaries["north"].frames == 5
    worker, _ = work([Feed(camera, Painted("north", drive(20)))], Pace(fps=5.0))
    assert worker.summaries["north"].frames == 10


def test_in_real_time_a_late_detector_drops_frames_and_counts_them(work, camera, drive, colour_detector):
    inner = open_detector(colour_detector())

    class Slow:
        id, runtime, box_sigma, scale, parallel = inner.id, inner.runtime, inner.box_sigma, staticmethod(inner.scale), 1

        def detect(self, image):
            threading.Event().wait(0.05)
            return inner.detect(image)

    images = drive(60)
    worker, events = work([Feed(camera, Painted("north", images, period=10_000))], Pace(is_real_time=True), detector=Slow())
    summary = worker.summaries["north"]
    assert summary.dropped > 0
    assert summary.frames + summary.dropped == 60
    assert len([event for event in events if isinstance(event.payload, FrameObserved)]) == summary.frames


def test_stop_ends_a_live_source_and_keeps_what_was_seen(work, camera, drive):
    source = Painted("north", drive(20), is_live=True)

    def stop_soon(worker):
        threading.Timer(0.3, worker.stop).start()

    worker, events = work([Feed(camera, source)], Pace(is_real_time=True), before=stop_soon)
    assert worker.summaries["north"].frames == sum(isinstance(event.payload, FrameObserved) for event in events) > 0
    assert source.n_closed == 1


def test_frames_are_emitted_in_order_whichever_is_detected_first(work, camera, drive, colour_detector):
    inner = open_detector(colour_detector())

    class Uneven:
        id, runtime, box_sigma, scale, parallel = inner.id, inner.runtime, inner.box_sigma, staticmethod(inner.scale), 3
        n, at_once, most_at_once = itertools.count(), 0, 0

        def detect(self, image):
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            threading.Event().wait(0.02 if next(self.n) % 3 == 0 else 0.001)
            self.at_once -= 1
            return inner.detect(image)

    uneven = Uneven()
    _, events = work([Feed(camera, Painted("north", drive(30)))], detector=uneven)
    _, expected = work([Feed(camera, Painted("north", drive(30)))], name="b.jsonl")
    assert 2 <= uneven.most_at_once <= 3
    assert [event.payload for event in events] == [event.payload for event in expected]


def test_a_detector_that_fails_ends_the_run_with_its_error(work, camera, drive, colour_detector):
    inner = open_detector(colour_detector())

    class Failing:
        id, runtime, box_sigma, scale, parallel = inner.id, inner.runtime, inner.box_sigma, staticmethod(inner.scale), 2
        n = 0

        def detect(self, image):
            self.n += 1
            if self.n > 4:
                raise ModelError("out of memory")
            return inner.detect(image)

    with pytest.raises(ModelError, match="out of memory"):
        work([Feed(camera, Painted("north", drive(50)))], detector=Failing())


def test_a_sink_that_fails_ends_the_run_and_every_thread(camera, drive, colour_detector):
    class Full:
        boot_epoch = 1
        delivery = None

        def write(self, emissions):
            raise BadInput("disk full")

        def close(self):
            pass

    feeds = [Feed(camera, Painted("north", drive(50)))]
    worker = Worker(feeds, open_detector(colour_detector()), ColourEmbedder(), Full(), min_score=0.3, pace=Pace())
    before = threading.active_count()
    with pytest.raises(BadInput, match="disk full"):
        worker.run()
    assert threading.active_count() == before


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be written"):
        FileSink(tmp_path / "none" / "out.jsonl", site="lot", device="edge")


def test_arrays_never_reach_an_event(work, camera, drive):
    _, events = work([Feed(camera, Painted("north", drive(8)))])
    box = events[-1].payload.boxes[0]
    assert all(type(edge) is float for edge in (*box.box_px, *box.box_sigma_px, box.score))
    assert not isinstance(box.score, np.floating)
