"""Payloads as they are stored: compressed with dictionaries that every release reads, old rows as they were."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.errors import CodecError, DamagedLog, UnknownEventType
from twin.events.codec import fact_in, observation_in, pack, unpack_fact, unpack_observation
from twin.events.facts import VehicleLeft
from twin.events.observations import DetectedBox, FrameObserved, Sealed, TrackletEmbedded
from twin.log.content import content_of, content_of_fact
from twin.log.sql import SqlLog
from twin.log.sql.packing import DICTIONARIES, OF_TEXT, OTHERS, _compressor, packed, read, unpacked
from twin.log.sql.plain_text import payload_of, text_of
from twin.log.sql.verify import verify_all

_STORED = bytes.fromhex(
    "0120c3fd0100d06e6f7274680280cd01e0a264a36e7470a274e03ff008103f999a0efc6c8894a931571db8829df4c08cf33e326c9971a811bfdfa41c1834d5f1fefa2bf00a"
)
"""An observation of the first release that packed: every later one reads it."""

_STORED_AS_TEXT = bytes.fromhex(
    "0320c8250200c3c208c71c6355c8aa20953a2a752a658f3094e10b5560a4829a85328c010c5f78b0210065080afc7e17d9e6f6fbaccf0553176d63a6ff1c5c5128905059e8d0ce0fc227"
)
_FACT_AS_TEXT = bytes.fromhex("042039fd0000906c656674317274616c223a2265786974227d03fc568f69b092b31df4cc04")
"""The same, and a fact, of the first that packed their text."""


@given(st.lists(st.binary(max_size=400).map(lambda one: b"\x80" + one), max_size=5), st.sampled_from(sorted(OTHERS)))
def test_whatever_is_packed_is_unpacked_as_it_was(payloads, log):
    assert [unpacked(one) for one in packed(log, payloads)] == payloads


_NUMBERS = st.floats() | st.integers(-(2**63), 2**64 - 1)
_NAMES = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["n:1:7", "n:1:12", "null", '"n', "\x01", "\x02", "7", ""]
)
_BOXES = st.builds(
    DetectedBox,
    tracklet=_NAMES,
    kind=st.just("car"),
    score=_NUMBERS,
    box_px=st.tuples(*[_NUMBERS] * 4),
    box_sigma_px=st.tuples(*[_NUMBERS] * 2),
)
_FRAMES = st.builds(
    FrameObserved,
    camera=_NAMES,
    frame_px=st.tuples(_NUMBERS, _NUMBERS),
    detector=_NAMES,
    clock=st.just("stream"),
    boxes=st.lists(_BOXES, max_size=3).map(tuple),
    unchanged=st.lists(_NAMES, max_size=3).map(tuple),
)


@given(st.lists(_FRAMES, max_size=3))
def test_a_frame_of_any_numbers_and_names_is_unpacked_as_it_was(frames):
    payloads = [pack(frame) for frame in frames]
    stored = packed("observations", payloads)
    assert [unpacked(one) for one in stored] == payloads
    assert packed("observations", payloads, frames) == stored


@given(_FRAMES)
def test_what_a_stored_frame_says_is_what_its_bytes_say(frame):
    (stored,) = packed("observations", [pack(frame)])
    as_bytes = _told(lambda: unpack_observation("frame.observed.v1", unpacked(stored)))
    assert _told(lambda: read(stored, "frame.observed.v1", unpack_observation, observation_in)) == as_bytes


def _told(reading):
    """As text, in which a number that is none is equal to itself; frames of such numbers may be none."""
    try:
        return repr(reading())
    except CodecError:
        return "refused"


def test_only_a_number_that_is_none_keeps_a_frame_from_being_text(make):
    frame = make.observation().payload
    assert payload_of(text_of(pack(frame))) == pack(frame)
    box = replace(frame.boxes[0], score=float("nan"))
    assert text_of(pack(replace(frame, boxes=(box,)))) is None


def test_how_a_payload_is_stored_does_not_depend_on_what_is_stored_beside_it(make):
    frame = make.observation().payload
    numberless = replace(frame, boxes=(replace(frame.boxes[0], score=float("nan")),))
    sealed = Sealed(key_id="t1", ciphertext=b"\x00\xff" * 40)
    embedded = TrackletEmbedded(
        camera="n", tracklet="t1", kind="car", embedder="e", box_px=(0.0,) * 4, quality=0.5, sealed=sealed
    )
    for told in ([frame, numberless, frame], [embedded, frame, numberless, embedded], [numberless], [frame, frame]):
        payloads = [pack(one) for one in told]
        alone = [packed("observations", [one])[0] for one in payloads]
        assert packed("observations", payloads) == packed("observations", payloads, told) == alone
    short = pack(VehicleLeft(vehicle="v1", portal="exit", evidence=()))
    of_both = [short, short[:40], short]  # the second is no payload, and has no text
    assert packed("facts", of_both) == [packed("facts", [one])[0] for one in of_both]


def test_what_has_bytes_in_it_is_not_made_text():
    # JSON would give them back as text.
    sealed = Sealed(key_id="t1", ciphertext=b"\x00\xff" * 40)
    payload = pack(
        TrackletEmbedded(camera="n", tracklet="t1", kind="car", embedder="e", box_px=(0.0,) * 4, quality=0.5, sealed=sealed)
    )
    assert text_of(payload) is None
    (stored,) = packed("observations", [payload])
    assert (stored[0], unpacked(stored)) == (OTHERS["observations"], payload)


def test_a_frame_takes_less_than_a_third_of_an_edge_worker_s_names_and_numbers(make):
    names = [f"north:1767484800:{number}" for number in (7, 12, 104)]
    box = replace(
        make.observation().payload.boxes[0], score=0.893, box_px=(12.4, 335.3, 271.8, 480.3), box_sigma_px=(10.93, 5.97)
    )
    frame = replace(
        make.observation().payload, boxes=tuple(replace(box, tracklet=name) for name in names), unchanged=tuple(names)
    )
    (stored,) = packed("observations", [pack(frame)])
    assert stored[0] == OF_TEXT["observations"]
    assert len(stored) < len(pack(frame)) / 3


def test_what_the_first_releases_packed_is_read_as_it_was(make):
    assert unpacked(_STORED) == unpacked(_STORED_AS_TEXT) == content_of(make.observation(1)).payload
    assert unpacked(_FACT_AS_TEXT) == content_of_fact(make.left(1)).payload


def test_what_would_not_shrink_stays_as_it_is(make):
    payload = content_of_fact(make.left(1)).payload[:40]
    assert packed("facts", [payload]) == [payload]


@pytest.mark.parametrize("number", DICTIONARIES)
def test_every_dictionary_is_in_the_package(number):
    plain = pack(VehicleLeft(vehicle="v-" + "7" * 40, portal="exit", evidence=("e" * 32,)))
    body = text_of(plain) if number in OF_TEXT.values() else plain
    assert unpacked(bytes([number]) + _compressor(number).compress(body)) == plain


def test_what_an_unknown_dictionary_packed_is_refused_with_its_number():
    with pytest.raises(DamagedLog, match=r"dictionary 77, known are 1, 2, 3, 4: a newer release"):
        unpacked(b"\x4d" + b"x" * 20)


def test_what_is_no_frame_is_refused():
    with pytest.raises(DamagedLog, match="cannot be unpacked"):
        unpacked(b"\x01" + b"\xff" * 20)


def test_a_bit_that_readers_of_frames_do_not_look_at_is_refused():
    number = OF_TEXT["facts"]
    plain = pack(VehicleLeft(vehicle="v-" + "7" * 40, portal="exit", evidence=("e" * 32,)))
    stored = bytes([number]) + _compressor(number).compress(text_of(plain))
    assert unpacked(stored) == plain
    with pytest.raises(DamagedLog, match="a bit is set that no frame has"):
        unpacked(bytes([number, stored[1] | 0x10]) + stored[2:])


@pytest.mark.parametrize("text", [b'{"type": no JSON', b'{"n":1' + b"0" * 30 + b"}", b'{"n":"\xff"}', b""])
def test_what_is_a_frame_of_no_payload_s_text_is_refused(text):
    number = OF_TEXT["facts"]
    stored = bytes([number]) + _compressor(number).compress(text)
    with pytest.raises(DamagedLog, match="cannot be unpacked"):
        unpacked(stored)
    with pytest.raises(DamagedLog, match="cannot be unpacked"):
        read(stored, "vehicle.left.v1", unpack_fact, fact_in)


def test_a_type_that_nobody_knows_is_no_damage():
    number = OF_TEXT["facts"]
    with pytest.raises(UnknownEventType):
        read(bytes([number]) + _compressor(number).compress(b"{}"), "vehicle.flew.v1", unpack_fact, fact_in)


async def test_a_log_with_plain_and_packed_rows_reads_verifies_and_goes_on(make, tmp_path):
    path = tmp_path / "log.db"
    log = SqlLog.open(path)
    await log.append(make.observations(20))
    before = await log.observations("lot")
    await log.aclose()
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute("select position, payload from observations where position <= 10").fetchall()
        assert all(payload[0] == OF_TEXT["observations"] for _, payload in rows)
        plain = [(unpacked(payload), position) for position, payload in rows]
        connection.executemany("update observations set payload = ? where position = ?", plain)  # as older releases wrote it
    log = SqlLog.open(path)
    await log.append(make.observations(5))
    assert (await log.observations("lot"))[:20] == before
    assert [one.faults for one in await log.read(verify_all, {})] == [()]
    await log.aclose()
