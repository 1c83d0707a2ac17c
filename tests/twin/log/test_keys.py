"""Keys and what is sealed with them, on every key ring."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.errors import BadInput, CodecError, Gone
from twin.events.observations import Personal, PlateRead, TrackletEmbedded
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import Outcome
from twin.log.sealing import SealingLog, personal_of
from twin.log.sql import SqlKeyRing, SqlLog

PERSONAL = Personal(embedding=bytes(range(128)), crop="c" * 64, plate=PlateRead(text="AB 123", score=0.5))


@pytest.fixture(params=["memory", "sqlite"])
async def keys(request, tmp_path):
    if request.param == "memory":
        yield MemoryKeyRing()
        return
    log = SqlLog.open(tmp_path / "log.db")
    yield SqlKeyRing(log)
    await log.aclose()


ids = (f"t{number}" for number in count())
personals = st.builds(
    Personal,
    embedding=st.binary(max_size=64),
    crop=st.none() | st.text(max_size=8),
    plate=st.none() | st.builds(PlateRead, text=st.text(max_size=8), score=st.floats(0, 1)),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(personal=personals, associated=st.binary(max_size=16))
async def test_what_is_sealed_opens_equal(keys, personal, associated):
    sealed = await keys.seal("lot", next(ids), personal, associated)
    assert await keys.open("lot", sealed, associated) == personal


async def test_a_resend_seals_to_the_same_ciphertext_and_other_tracklets_do_not(keys):
    first, again, other = [await keys.seal("lot", key_id, PERSONAL, b"e1") for key_id in ("t1", "t1", "t2")]
    assert first == again
    assert other.ciphertext != first.ciphertext


async def test_a_ciphertext_opens_only_at_its_own_place(keys):
    sealed = await keys.seal("lot", "t1", PERSONAL, b"e1")
    await keys.seal("other", "t1", PERSONAL, b"e1")
    *rest, last = sealed.ciphertext
    for site, associated, changed in [
        ("lot", b"e2", sealed),
        ("other", b"e1", sealed),
        ("lot", b"e1", replace(sealed, ciphertext=bytes([*rest, last ^ 1]))),
        ("lot", b"e1", replace(sealed, ciphertext=b"short")),
    ]:
        with pytest.raises(CodecError):
            await keys.open(site, changed, associated)


async def test_a_destroyed_key_opens_nothing_and_never_comes_back(keys):
    sealed = await keys.seal("lot", "t1", PERSONAL, b"e1")
    await keys.destroy("lot", "t1")
    await keys.destroy("lot", "t1")
    assert await keys.open("lot", sealed, b"e1") is None
    with pytest.raises(Gone):
        await keys.seal("lot", "t1", PERSONAL, b"e1")
    with pytest.raises(Gone):
        await keys.seal("lot", "t1", PERSONAL, b"e1")


async def test_a_key_destroyed_before_it_was_made_is_never_made(keys):
    await keys.destroy("lot", "t1")
    with pytest.raises(Gone):
        await keys.seal("lot", "t1", PERSONAL, b"e1")


async def test_an_erased_place_without_ciphertext_opens_to_nothing(keys):
    sealed = await keys.seal("lot", "t1", PERSONAL, b"e1")
    assert await keys.open("lot", replace(sealed, ciphertext=b""), b"e1") is None


async def test_more_keys_than_are_cached_still_open():
    keys = MemoryKeyRing(n_cached=2)
    sealed = [await keys.seal("lot", f"t{number}", PERSONAL, b"") for number in range(5)]
    assert [await keys.open("lot", one, b"") for one in sealed] == [PERSONAL] * 5
    assert len(keys._cache) == 2


async def test_keys_that_are_asked_for_at_once_are_at_hand_but_for_those_that_are_gone(keys):
    sealed = {name: await keys.seal("lot", name, PERSONAL, b"e1") for name in ("t1", "t2", "t3")}
    await keys.destroy("lot", "t2")
    keys._cache.clear()
    await keys.learn("lot", ["t1", "t2", "t3", "t1", "never made"])
    assert sorted(keys._cache) == [("lot", "t1"), ("lot", "t3")]
    assert [await keys.open("lot", one, b"e1") for one in sealed.values()] == [PERSONAL, None, PERSONAL]


async def test_a_key_outlives_the_process_that_made_it(tmp_path):
    log = SqlLog.open(tmp_path / "log.db")
    sealed = await SqlKeyRing(log).seal("lot", "t1", PERSONAL, b"e1")
    await log.aclose()
    log = SqlLog.open(tmp_path / "log.db")
    keys = SqlKeyRing(log)
    assert await keys.open("lot", sealed, b"e1") == PERSONAL
    assert await keys.seal("lot", "t1", PERSONAL, b"e1") == sealed
    await log.aclose()


async def test_a_destroyed_key_is_in_no_file_once_the_log_is_closed(tmp_path):
    log = SqlLog.open(tmp_path / "log.db")
    key = b"0123456789abcdef" * 4
    keys = SqlKeyRing(log, random=lambda _: key)
    await keys.seal("lot", "t1", PERSONAL, b"e1")
    await log.aclose()
    assert key in (tmp_path / "log.db").read_bytes()
    log = SqlLog.open(tmp_path / "log.db")
    await SqlKeyRing(log).destroy("lot", "t1")
    await log.aclose()
    assert not [file.name for file in tmp_path.iterdir() if key in file.read_bytes()]


async def test_a_key_id_that_no_column_can_hold_is_refused(tmp_path):
    log = SqlLog.open(tmp_path / "log.db")
    with pytest.raises(BadInput):
        await SqlKeyRing(log).seal("lot", "t\ud800", PERSONAL, b"e1")
    await log.aclose()


@pytest.fixture
def embedded(make):
    """Makes an event with personal fields in the open."""

    def event(sequence, *, tracklet="t1", personal=PERSONAL):
        payload = TrackletEmbedded(
            camera="c", tracklet=tracklet, kind="car", embedder="e", box_px=(0, 0, 1, 1), quality=1.0, personal=personal
        )
        return replace(make.observation(sequence), payload=payload)

    return event


async def test_a_sealing_log_keeps_no_personal_field_in_the_open(embedded, make):
    keys, inner = MemoryKeyRing(), MemoryLog()
    log = SealingLog(inner, keys)
    await log.append([make.observation(1), embedded(2), embedded(3, tracklet="t2")])
    plain, first, second = [one.event for one in await log.observations("lot")]
    assert plain == make.observation(1)
    assert [one.payload.personal for one in (first, second)] == [None, None]
    assert PERSONAL.embedding not in first.payload.sealed.ciphertext
    assert [await personal_of(keys, one) for one in (plain, first, second)] == [None, PERSONAL, PERSONAL]


async def test_a_resend_through_a_sealing_log_is_a_duplicate_and_altered_personal_fields_are_refused(embedded):
    log = SealingLog(MemoryLog(), MemoryKeyRing())
    receipts = [
        *await log.append([embedded(1)]),
        *await log.append([embedded(1)]),
        *await log.append([embedded(1, personal=Personal(embedding=b"x"))]),
    ]
    assert [one.outcome for one in receipts] == [Outcome.STORED, Outcome.DUPLICATE, Outcome.REFUSED]


async def test_an_event_sealed_already_passes_as_it_is(embedded):
    keys, inner = MemoryKeyRing(), MemoryLog()
    await SealingLog(inner, keys).append([embedded(1)])
    (stored,) = await inner.observations("lot")
    receipts = await SealingLog(inner, keys).append([stored.event])
    assert [one.outcome for one in receipts] == [Outcome.DUPLICATE]


async def test_after_erasure_what_is_new_is_stored_without_the_person_and_what_is_resent_is_refused(embedded):
    keys = MemoryKeyRing()
    log = SealingLog(MemoryLog(), keys)
    await log.append([embedded(1)])
    await keys.destroy("lot", "t1")
    receipts = await log.append([embedded(1), embedded(2), embedded(2)])
    assert [one.outcome for one in receipts] == [Outcome.REFUSED, Outcome.STORED, Outcome.DUPLICATE]
    assert [await personal_of(keys, one.event) for one in await log.observations("lot")] == [None, None]
