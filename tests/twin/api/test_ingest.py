import json
import re

import pytest

from twin.api import ApiLimits
from twin.errors import Overloaded
from twin.events.codec import to_cloudevent, to_json
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import ClockTicked, FrameObserved, Personal, PlateRead, Sealed, TrackletEmbedded

URL = "/v1/sites/lot/observations"


def lines(*events):
    return b"\n".join(map(to_json, events)) + b"\n"


def embedded(**given):
    payload = TrackletEmbedded(
        camera="left", tracklet="t1", kind="car", embedder="e1", box_px=(0, 0, 9, 9), quality=0.5, **given
    )
    return ObservationEvent(
        site="lot", key=DeviceKey(device="cam-1", boot_epoch=1, sequence=7), occurred_at=1_767_268_800_000_000, payload=payload
    )


async def refused(running, body):
    answer = await running.http.post(URL, content=body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await running.log.heads("lot")).observations == 0
    return answer.status_code, answer.json()["detail"]


async def test_lines_and_arrays_are_stored_and_a_resend_gets_its_first_positions(serve, story):
    async with serve() as running:
        events = [story.observation(number) for number in (1, 2)]
        stored = (await running.http.post(URL, content=lines(*events))).json()["receipts"]
        again = await running.http.post(URL, content=json.dumps([to_cloudevent(one) for one in events]))
        assert stored == [{"outcome": "stored", "position": "1"}, {"outcome": "stored", "position": "2"}]
        assert [one["outcome"] for one in again.json()["receipts"]] == ["duplicate", "duplicate"]
        assert [one.event for one in await running.log.observations("lot")] == events


async def test_other_content_under_a_known_key_is_refused_alone(serve, story):
    async with serve() as running:
        await running.http.post(URL, content=lines(story.observation(1)))
        body = lines(story.observation(1)).replace(b'"d1"', b'"d2"') + lines(story.observation(2))
        receipts = (await running.http.post(URL, content=body)).json()["receipts"]
        assert [one["outcome"] for one in receipts] == ["refused", "stored"]
        assert "other content is stored under this device key" in receipts[0]["reason"]
        assert "reason" not in receipts[1]


async def test_what_is_personal_is_stored_sealed(serve):
    async with serve() as running:
        answer = await running.http.post(URL, content=lines(embedded(personal=Personal(embedding=b"\x01\x02"))))
        assert answer.status_code == 200
        (recorded,) = await running.log.observations("lot")
        assert recorded.event.payload.personal is None
        assert recorded.event.payload.sealed is not None


@pytest.mark.parametrize(
    ("plate", "words"),
    [
        (PlateRead(text="A" * 33, score=0.5), "33 characters"),
        (PlateRead(text="ABC1234", score=1.5), "'score' of 'plate' is 1.5"),
    ],
)
async def test_a_plate_that_no_vehicle_has_is_refused(serve, plate, words):
    async with serve() as running:
        answer = await running.http.post(URL, content=lines(embedded(personal=Personal(embedding=b"\x01", plate=plate))))
        assert answer.status_code in (400, 422)
        assert words in answer.json()["detail"]


async def test_a_camera_that_the_site_does_not_have_is_told_once_and_stored(serve, story, caplog):
    events = [story.observation(number) for number in (1, 2)]
    strange = lines(*events).replace(f'"camera":"{events[0].payload.camera}"'.encode(), b'"camera":"gaet"')
    async with serve() as running:
        for body in (strange, lines(story.observation(3))):
            assert {one["outcome"] for one in (await running.http.post(URL, content=body)).json()["receipts"]} == {"stored"}
    (told,) = [line for line in caplog.messages if "no camera" in line]
    assert told.startswith("site 'lot' has no camera 'gaet'; there are ")


async def test_an_entry_that_cannot_be_read_is_named_and_nothing_is_stored(serve, story):
    async with serve() as running:
        good = lines(story.observation(1))
        for bad, words in (
            (b"{not json", "line 2 is not JSON"),
            (b'{"type":"frame.observed.v1"}', "line 2: the event has no attribute"),
            (b"7", "line 2: a CloudEvents JSON object was expected, but got int"),
            (good.replace(b"frame.observed.v1", b"frame.observed.v99"), "line 2: event type 'frame.observed.v99' is not known"),
            (good.replace(b'"site":"lot"', b'"site":"other"'), "line 2: the event is of site 'other'"),
            (good.replace(b'"device":"cam-1"', b'"device":7'), "line 2: device='7' is no name"),
            (good.replace(b'"bootepoch":"1"', b'"bootepoch":"99999999999999999999"'), "line 2: bootepoch=9999"),
            (good.replace(b'"sequence":"1"', b'"sequence":"0"'), "sequence=0 is out of range"),
            (good.replace(b'"sequence":"1"', b'"sequence":"one"'), "line 2: 'sequence' is 'one'; give a whole number"),
            (good.replace(b'"clock":"ntp"', b'"clock":"sun"'), "'clock': Invalid enum value 'sun'; use one of "),
            (re.sub(rb'"time":"[^"]*"', b'"time":"noon"', good), "'time': time 'noon' is not RFC 3339; give a time such as"),
            (re.sub(rb'"time":"[^"]*"', b'"time":7', good), "'time': '7' is no text"),
        ):
            status, detail = await refused(running, good + bad)
            assert status == 422
            assert words in detail


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[1,2", b"[" * 5000, b'[{"a":1}]', b'"' + b"x" * 2000 + b'"', b"\x00"])
async def test_garbage_is_a_problem_and_the_service_goes_on(serve, story, body):
    async with serve() as running:
        status, _ = await refused(running, body)
        assert status == 422
        assert (await running.http.post(URL, content=lines(story.observation(1)))).status_code == 200


async def test_nobody_outside_concludes_facts_or_moves_the_folds_clock(serve, story):
    async with serve() as running:
        tick = ObservationEvent(
            site="lot",
            key=DeviceKey(device="cam-1", boot_epoch=1, sequence=1),
            occurred_at=story.noon,
            payload=ClockTicked(worker="w"),
        )
        for event, words in (
            (story.event(1, story.left()), "is a fact"),
            (tick, "is the fold's own clock"),
            (story.observation(1, "twin-worker"), "device 'twin-worker' is the twin's own"),
            (embedded(sealed=Sealed(key_id="t1", ciphertext=b"x")), "is sealed here"),
            (embedded(), "is sealed here"),
        ):
            status, detail = await refused(running, lines(event))
            assert status == 422
            assert words in detail


async def test_bodies_over_the_limits_are_refused(serve, story):
    async with serve(limits=ApiLimits(ingest_bytes=2_000, ingest_events=3)) as running:
        assert (await refused(running, b" " * 2_001))[0] == 413
        status, detail = await refused(running, b"\n".join([b'{"type":1}'] * 4).replace(b'{"type":1}', b"null"))
        assert status == 422  # the first entry is wrong before there are too many
        status, detail = await refused(running, lines(*(story.observation(n) for n in range(1, 5))))
        assert status == 413
        assert "3 events" in detail or "2000" in detail


async def test_a_body_without_a_length_is_read_no_further_than_the_limit(serve):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 1_000

    async with serve(limits=ApiLimits(ingest_bytes=5_000)) as running:
        answer = await running.http.post(URL, content=endless())
        assert answer.status_code == 413
        assert sent < 20


async def test_a_full_writer_asks_to_come_back(serve, story):
    async with serve() as running:

        async def full(events):
            raise Overloaded("the writer's queue of 4096 is full; send again later")

        running.log.append = full
        answer = await running.http.post(URL, content=lines(story.observation(1)))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_an_empty_body_stores_nothing(serve):
    async with serve() as running:
        assert (await running.http.post(URL, content=b"")).json() == {"receipts": []}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"specversion": "0.3"}, "'specversion' is '0.3'"),
        ({"datacontenttype": "text/xml"}, "'datacontenttype' 'text/xml'"),
        ({"id": ""}, "'id' is ''; give a text, or leave it out"),
        ({"source": 7}, "'source' is '7'"),
        ({"subject": {}}, "'subject' is '{}'"),
        ({"bootepoch": "-1"}, "'bootepoch' is '-1'; give a whole number in digits"),
        ({"sequence": True}, "'sequence' is 'True'"),
        ({"sequence": 1.5}, "'sequence' is '1.5'"),
        ({"device": "cam\u0007"}, "is no name; give 1 to 200 letters"),
    ],
)
async def test_what_an_event_says_of_itself_is_as_described(serve, story, change, words):
    entry = json.loads(lines(story.observation(1)))
    async with serve() as running:
        answer = await running.http.post(URL, json=[{**entry, **change}])
        assert answer.status_code == 422
        assert words in answer.json()["detail"]


async def test_whole_numbers_may_be_written_as_json_writes_numbers(serve, story):
    entry = json.loads(lines(story.observation(1)))
    entry |= {"bootepoch": 1, "sequence": 2.0, "subject": "", "data": {**entry["data"], "frame_px": [100.0, 100.0]}}
    async with serve() as running:
        answer = await running.http.post(URL, json=[entry])
        assert answer.json()["receipts"] == [{"outcome": "stored", "position": "1"}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"score": 2}, "box 1: 'score' is 2.0; give a number from 0 to 1"),
        ({"score": -0.1}, "box 1: 'score' is -0.1"),
        ({"box_px": [0, 0, 1e300, 9]}, "box 1: 'box_px' is"),
        ({"box_sigma_px": [-1, 1]}, "box 1: 'box_sigma_px' is [-1.0, 1.0]; give two standard deviations"),
        ({"tracklet": ""}, "tracklet='' is no name"),
        ({"tracklet": "t\x07"}, "is no name"),
        (None, "'frame_px' is [0, 100]; give the frame's width and height"),
    ],
)
async def test_numbers_that_no_detector_gives_are_named_and_nothing_is_stored(serve, change, words):
    box = {"tracklet": "t1", "kind": "car", "score": 0.9, "box_px": [1, 2, 30, 40], "box_sigma_px": [0, 1.5]}
    frame = FrameObserved(camera="left", frame_px=(100, 100), detector="d1", clock="ntp", unchanged=("t2",))
    event = ObservationEvent(
        site="lot", key=DeviceKey(device="cam-1", boot_epoch=1, sequence=7), occurred_at=1_767_268_800_000_000, payload=frame
    )
    entry = to_cloudevent(event)
    entry["data"]["boxes"] = [box]
    bad = {**entry, "data": {**entry["data"], **({"boxes": [box | change]} if change else {"frame_px": [0, 100]})}}
    async with serve() as running:
        status, detail = await refused(running, json.dumps([entry, bad]))
        assert status == 422
        assert detail.startswith("event 2: "), detail
        assert words in detail
        assert (await running.http.post(URL, content=json.dumps(entry))).json()["receipts"][0]["outcome"] == "stored"
