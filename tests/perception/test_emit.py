import msgspec
import numpy as np
import pytest

from perception.attributes import Attributes
from perception.box_sigma import BoxSigma
from perception.detect import Detections
from perception.embed import ColourEmbedder
from perception.emit import CameraEmitter
from perception.frames import Frame
from twin.events.codec import from_json, to_json
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import Attribute, FrameObserved, PlateRead, TrackletEmbedded


def emitter(camera, **options) -> CameraEmitter:
    return CameraEmitter(
        camera,
        clock="file",
        boot_epoch=3,
        detector_id="d@1",
        box_sigma=BoxSigma(),
        embedder=ColourEmbedder(),
        min_score=0.3,
        **options,
    )


def run(emits: CameraEmitter, boxes: list[list[tuple[float, ...]]], step: int = 100_000) -> list:
    image = np.random.default_rng(0).integers(0, 255, (192, 320, 3), np.uint8)
    emissions = []
    for i, row in enumerate(boxes):
        found = Detections(
            np.array(row, np.float32).reshape(-1, 4), np.full(len(row), 0.876543, np.float32), ("car",) * len(row)
        )
        emissions += emits.emit(Frame("north", i * step, i, image), found, 0.5)
    return emissions


def test_every_frame_is_observed_also_when_empty(camera):
    emissions = run(emitter(camera), [[], [(10, 10, 90, 60)], [(14, 10, 94, 60)], []])
    frames = [emission.payload for emission in emissions]
    assert all(isinstance(frame, FrameObserved) for frame in frames)
    assert [len(frame.boxes) for frame in frames] == [0, 0, 1, 0]
    box = frames[2].boxes[0]
    assert (box.tracklet, box.kind, box.score) == ("north:3:1", "car", 0.8765)
    assert box.box_px == (14.0, 10.0, 94.0, 60.0)
    assert (frames[2].frame_px, frames[2].detector, frames[2].clock) == ((320, 192), "d@1", "file")


def test_what_is_emitted_survives_the_wire_exactly(camera):
    boxes = [[(10 + 7.33 * i, 0.4, 90 + 7.33 * i, 61.27)] for i in range(12)]
    for emission in run(emitter(camera), boxes):
        key = DeviceKey(device="edge", boot_epoch=1, sequence=1)
        event = ObservationEvent(site="lot", key=key, occurred_at=emission.occurred_at, payload=emission.payload)
        assert from_json(to_json(event)) == event
        assert msgspec.json.decode(to_json(event))["data"] == msgspec.json.decode(to_json(from_json(to_json(event))))["data"]


def test_a_view_is_embedded_with_its_crop_under_its_hash(camera):
    emissions = run(emitter(camera), [[(10 + 4 * i, 20, 130 + 4 * i, 120)] for i in range(10)])
    views = [emission for emission in emissions if isinstance(emission.payload, TrackletEmbedded)]
    assert len(views) == 1
    payload, crop = views[0].payload, views[0].crop
    assert crop.id == payload.personal.crop
    assert crop.jpeg[:2] == b"\xff\xd8"
    assert len(payload.personal.embedding) == 128
    assert (payload.embedder, payload.tracklet, payload.sealed) == ("colour-128@1", "north:3:1", None)
    assert 0.0 < payload.quality <= 1.0


def test_a_cut_box_says_which_edges_and_how_unsure(camera):
    cut = [(0, 20, 80, 80)]
    whole = [(100, 20, 180, 80)]
    frames = [e.payload for e in run(emitter(camera), [cut + whole] * 2) if isinstance(e.payload, FrameObserved)]
    first, second = frames[1].boxes
    assert (first.truncated, second.truncated) == (("left",), ())
    assert first.box_sigma_px[0] == pytest.approx(3 * second.box_sigma_px[0], abs=0.02)
    assert first.box_sigma_px[1] == second.box_sigma_px[1]


def test_a_parked_car_becomes_an_unchanged_tracklet(camera):
    frames = [e.payload for e in run(emitter(camera), [[(10, 10, 90, 60)]] * 70) if isinstance(e.payload, FrameObserved)]
    assert sum(bool(frame.boxes) for frame in frames) == 11  # one second, then one after five
    assert all(frame.unchanged == ("north:3:1",) for frame in frames[1:] if not frame.boxes)


def test_what_stands_still_is_among_the_boxes_of_the_frame_though_it_is_not_sent_again(camera):
    emits = emitter(camera)
    frames = [one.payload for one in run(emits, [[(10, 10, 90, 60)]] * 12) if isinstance(one.payload, FrameObserved)]
    assert (frames[-1].boxes, frames[-1].unchanged) == ((), ("north:3:1",))
    assert [(box.tracklet, box.box_px) for box in emits.boxes] == [("north:3:1", (10.0, 10.0, 90.0, 60.0))]
    gone = emitter(camera)
    run(gone, [*[[(10, 10, 90, 60)]] * 3, []])
    assert gone.boxes == ()


def test_boxes_whose_foot_is_outside_of_the_region_are_left_out(camera):
    ring = ((0.0, 100.0), (320.0, 100.0), (320.0, 192.0), (0.0, 192.0))
    watched = msgspec.structs.replace(camera, region_px=ring)
    inside, outside = (10, 60, 90, 150), (150, 20, 230, 90)
    frames = [e.payload for e in run(emitter(watched), [[inside, outside]] * 3) if isinstance(e.payload, FrameObserved)]
    assert [len(frame.boxes) for frame in frames] == [0, 1, 1]
    assert frames[1].boxes[0].box_px == (10.0, 60.0, 90.0, 150.0)


class Told:
    """Says of every view that it is a red van with a plate, and counts."""

    id = "told@1"

    def __init__(self):
        self.n = 0

    def read(self, view):
        self.n += 1
        return self.answer


class ToldAttributes(Told):
    answer = Attributes(
        Attribute(name="red", score=0.9, model="told@1"),
        Attribute(name="van", score=0.8, model="told@1"),
    )


class ToldPlate(Told):
    answer = PlateRead(text="AB123", score=0.9)


def test_a_kept_view_says_colour_and_body_in_the_open_and_its_plate_among_personal_fields(camera):
    reads = ToldPlate()
    emissions = run(emitter(camera, attributes=ToldAttributes(), plates=reads), [[(10, 10, 150, 150)]] * 8)
    views = [one.payload for one in emissions if isinstance(one.payload, TrackletEmbedded)]
    assert views
    assert {(view.colour.name, view.body.name, view.personal.plate.text) for view in views} == {("red", "van", "AB123")}
    assert reads.n == len(views)


def test_nothing_is_told_where_nobody_was_asked(camera):
    emissions = run(emitter(camera), [[(10, 10, 150, 150)]] * 8)
    views = [one.payload for one in emissions if isinstance(one.payload, TrackletEmbedded)]
    assert {(view.colour, view.body, view.personal.plate) for view in views} == {(None, None, None)}
