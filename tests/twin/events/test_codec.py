"""The codec: one table of type names, msgpack in the log, CloudEvents JSON outside."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.errors import CodecError, UnknownEventType
from twin.events.codec import (
    FACT_TYPES,
    OBSERVATION_TYPES,
    from_cloudevent,
    from_json,
    micros,
    pack,
    rfc3339,
    to_cloudevent,
    to_json,
    type_name,
    unpack_fact,
    unpack_observation,
)
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, Recorded
from twin.events.facts import GateChanged, SessionClosed
from twin.events.observations import (
    Attribute,
    ClockTicked,
    DetectedBox,
    FrameObserved,
    GateReported,
    Personal,
    TrackletEmbedded,
)
from twin.events.upcast import UPCASTERS

AT = 1_767_225_600_000_001
FRAME = FrameObserved(
    camera="north",
    frame_px=(960, 540),
    detector="yolox@1",
    clock="ntp",
    boxes=(
        DetectedBox(
            tracklet="north:1:7",
            kind="car",
            score=0.9,
            box_px=(1.0, 2.0, 3.5, 4.0),
            box_sigma_px=(1.5, 1.5),
            truncated=("left",),
        ),
    ),
    unchanged=("north:1:3",),
)


def observation(payload, sequence=7) -> ObservationEvent:
    key = DeviceKey(device="edge-1", boot_epoch=2, sequence=sequence)
    return ObservationEvent(site="lot", key=key, occurred_at=AT, payload=payload)


CLOSED = SessionClosed(
    session="s-1", vehicle="v-1", portal="exit", entry_at=AT, exit_at=AT + 5, confidence=0.5, flags=("camera_gap",)
)


def fact(supersedes=()) -> FactEvent:
    return FactEvent(site="lot", fold_version="1", cause=41, ordinal=2, occurred_at=AT, payload=CLOSED, supersedes=supersedes)


EMBEDDED = TrackletEmbedded(
    camera="north",
    tracklet="t",
    kind="van",
    embedder="e@1",
    box_px=(0.0, 0.0, 9.0, 9.0),
    quality=0.5,
    personal=Personal(embedding=bytes(range(8))),
)


TOLD = replace(
    EMBEDDED,
    colour=Attribute(name="red", score=0.75, model="attributes@1"),
    body=Attribute(name="van", score=1.0, model="attributes@1"),
)


@pytest.mark.parametrize("payload", [FRAME, EMBEDDED, TOLD, ClockTicked(worker="w")])
def test_an_observation_survives_the_log_and_json(payload):
    event = observation(payload)
    assert unpack_observation(type_name(payload), pack(payload)) == payload
    assert from_json(to_json(event)) == event


def test_a_fact_survives_the_log_and_json():
    event = fact(supersedes=("a" * 32, "b" * 32))
    assert unpack_fact(type_name(CLOSED), pack(CLOSED)) == CLOSED
    assert from_json(to_json(event)) == event


def test_json_follows_cloudevents_and_keeps_positions_as_strings():
    recorded = Recorded(position=9_007_199_254_740_993, recorded_at=AT, event=fact())
    attributes = json.loads(to_json(recorded))
    assert attributes["specversion"] == "1.0"
    assert attributes["type"] == "session.closed.v1"
    assert attributes["time"] == "2026-01-01T00:00:00.000001Z"
    assert attributes["position"] == "9007199254740993"
    assert attributes["data"]["exit_at"] == "2026-01-01T00:00:00.000006Z"
    assert "type" not in attributes["data"]
    assert all(name.isalnum() and name.islower() for name in attributes), "CloudEvents allows [a-z0-9] in names"


def test_a_resend_has_the_same_id_and_another_sequence_has_another():
    assert observation(FRAME).id == observation(EMBEDDED).id
    assert observation(FRAME).id != observation(FRAME, sequence=8).id


@given(st.integers(min_value=0, max_value=4_102_444_800_000_000))
def test_times_survive_rfc3339_to_the_microsecond(at):
    assert micros(rfc3339(at)) == at


def test_a_time_without_offset_is_refused():
    with pytest.raises(ValueError, match="has no UTC offset"):
        micros("2026-01-01T00:00:00")


def test_a_frame_of_the_retired_trial_format_is_read_as_todays():
    retired = {
        "camera": "north",
        "frame_px": [960, 540],
        "detector": "trial",
        "tracklets": ["t1"],
        "boxes_xywhs": [[10.0, 20.0, 30.0, 40.0, 0.8]],
    }
    frame = unpack_observation("frame.observed.v0", msgspec.msgpack.encode(retired))
    assert frame == FrameObserved(
        camera="north",
        frame_px=(960, 540),
        detector="trial",
        clock="unsynced",
        boxes=(DetectedBox(tracklet="t1", kind="car", score=0.8, box_px=(10.0, 20.0, 40.0, 60.0), box_sigma_px=(1.5, 2.0)),),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "vehicle.flew.v1"}, "'vehicle.flew.v1' is not known"),
        ({"sequence": None}, "wrong value"),
        ({"time": "yesterday"}, "wrong value"),
        ({"data": {"camera": "north"}}, "missing required field"),
        ({"data": 3}, "wrong value"),
    ],
)
def test_a_wrong_attribute_is_named(change, message):
    with pytest.raises(CodecError, match=message):
        from_json(json.dumps({**to_cloudevent(observation(FRAME)), **change}))


def test_an_unknown_key_in_data_is_named():
    attributes = to_cloudevent(observation(FRAME))
    attributes["data"]["speed"] = 3
    with pytest.raises(CodecError, match=r"unknown keys \['speed'\]"):
        from_json(json.dumps(attributes))


@pytest.mark.parametrize("line", [b"", b"[]", b"{", b"\xff\xfe", b"null"])
def test_what_is_not_a_json_object_is_refused(line):
    with pytest.raises(CodecError):
        from_json(line)


def test_damaged_bytes_are_told_apart_from_an_unknown_type():
    with pytest.raises(CodecError, match="damaged"):
        unpack_fact("session.closed.v1", b"\xc1")
    with pytest.raises(UnknownEventType):
        unpack_fact("no.such.v1", msgspec.msgpack.encode({}))


def test_a_fact_that_only_a_newer_service_knows_is_told_from_a_broken_one():
    told = {"type": "session.dreamt.v9", "site": "lot", "time": "2026-01-01T12:00:00Z", "data": {}, "foldversion": "9"}
    with pytest.raises(UnknownEventType, match=r"session\.dreamt\.v9"):
        from_cloudevent({**told, "causeposition": "1", "ordinal": "0"})


def test_every_time_field_ends_in_at_and_no_other_does():
    for kind in [*OBSERVATION_TYPES.values(), *FACT_TYPES.values()]:
        for field in msgspec.structs.fields(kind):
            if field.name.endswith("_at"):
                assert field.type in (int, int | None), f"{kind.__name__}.{field.name} must be Micros"


def test_a_view_of_which_no_colour_or_body_is_told_has_the_bytes_it_always_had():
    assert set(msgspec.msgpack.decode(pack(TOLD))) - set(msgspec.msgpack.decode(pack(EMBEDDED))) == {"colour", "body"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"name": "mauve"},
            r"'colour.name': Invalid enum value 'mauve'; use one of black, blue, brown, green, grey, orange, red, ",
        ),
        ({"score": 1.5}, r"'colour.score': Expected `float` <= 1.0"),
        ({"model": ""}, r"'colour.model': Expected `str` of length >= 1"),
    ],
)
def test_a_colour_that_is_none_of_the_words_or_is_too_sure_is_refused(change, message):
    attributes = to_cloudevent(observation(TOLD))
    attributes["data"]["colour"] |= change
    with pytest.raises(CodecError, match=message):
        from_cloudevent(attributes)


DOC = Path(__file__).parents[3] / "ops" / "docs" / "events.md"


def test_the_events_page_describes_every_type():
    text = DOC.read_text()
    missing = [name for name in [*OBSERVATION_TYPES, *FACT_TYPES, *UPCASTERS] if f"`{name}`" not in text]
    assert not missing, f"ops/docs/events.md does not describe {missing}"


def test_the_events_pages_examples_are_events():
    examples = re.findall(r"```json\n(.*?)\n```", DOC.read_text(), re.DOTALL)
    assert {type(from_json(example)) for example in examples} == {ObservationEvent, FactEvent}
    assert [from_json(example).id for example in examples] == [json.loads(example)["id"] for example in examples]


def test_a_time_in_the_data_that_is_none_is_told_with_its_field():
    body = {"invoice": "i1", "until_at": "noon"}
    event = {"type": "invoice.closed.v1", "site": "lot", "time": "2026-01-01T09:00:00Z", "data": body}
    with pytest.raises(CodecError, match="'until_at': time 'noon' is not RFC 3339; give a time such as"):
        from_cloudevent({**event, "device": "desk", "bootepoch": "1", "sequence": "1"})


def test_a_word_that_is_none_of_those_allowed_is_told_with_them_however_deep():
    box = {"tracklet": "t1", "kind": "tank", "score": 0.5, "box_px": [1, 2, 3, 4], "box_sigma_px": [1, 1]}
    body = {"camera": "c", "frame_px": [6, 4], "detector": "d", "clock": "ntp", "boxes": [box]}
    event = {"type": "frame.observed.v1", "site": "lot", "time": "2026-01-01T09:00:00Z", "data": body}
    with pytest.raises(CodecError, match=r"kind': Invalid enum value 'tank'; use one of bicycle, bus, car, motorcycle, "):
        from_cloudevent({**event, "device": "c", "bootepoch": "1", "sequence": "1"})


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "0999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"])
def test_times_that_could_not_be_written_down_again_are_no_times(time):
    with pytest.raises(ValueError, match="is of no year from 1000 to 8999"):
        micros(time)


@pytest.mark.parametrize(
    ("payload", "name"), [(GateReported, "gate.state.v1"), (GateChanged, "gate.changed.v1")], ids=["observation", "fact"]
)
def test_how_a_gate_is_is_packed_as_before_where_nobody_decided_instead_of_the_twin(payload, name):
    # a resend of what an older release stored has the same bytes, or it would be refused as another event
    before = msgspec.msgpack.encode({"type": name, "portal": "exit", "state": "open"})
    assert pack(payload(portal="exit", state="open")) == before
