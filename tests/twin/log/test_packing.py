"""Payloads as they are stored: compressed with dictionaries that every release reads, old rows as they were."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import DamagedLog
from twin.log.content import content_of, content_of_fact
from twin.log.sql import SqlLog
from twin.log.sql.packing import DICTIONARIES, NEWEST, packed, unpacked
from twin.log.sql.verify import verify_all

_STORED = bytes.fromhex(
    "0120c3fd0100d06e6f7274680280cd01e0a264a36e7470a274e03ff008103f999a0efc6c8894a931571db8829df4c08cf33e326c9971a811bfdfa41c1834d5f1fefa2bf00a"
)
"""An observation of the first release that packed: every later one reads it."""


@given(st.lists(st.binary(max_size=400).map(lambda one: b"\x80" + one), max_size=5), st.sampled_from(sorted(NEWEST)))
def test_whatever_is_packed_is_unpacked_as_it_was(payloads, log):
    assert [unpacked(one) for one in packed(log, payloads)] == payloads


def test_a_frame_takes_less_than_half(make):
    payload = content_of(make.observation()).payload
    (stored,) = packed("observations", [payload])
    assert stored[0] == NEWEST["observations"]
    assert len(stored) < len(payload) / 2


def test_what_the_first_release_packed_is_read_as_it_was(make):
    assert unpacked(_STORED) == content_of(make.observation(1)).payload


def test_what_would_not_shrink_stays_as_it_is(make):
    payload = content_of_fact(make.left(1)).payload[:40]
    assert packed("facts", [payload]) == [payload]


@pytest.mark.parametrize("number", DICTIONARIES)
def test_every_dictionary_is_in_the_package(number):
    log = next(log for log, newest in NEWEST.items() if newest == number)
    (stored,) = packed(log, [b"\x82" + b"vehicle.moved.v1" * 20])
    assert unpacked(stored) == b"\x82" + b"vehicle.moved.v1" * 20


def test_what_an_unknown_dictionary_packed_is_refused_with_its_number():
    with pytest.raises(DamagedLog, match=r"dictionary 77, known are 1, 2: a newer release"):
        unpacked(b"\x4d" + b"x" * 20)


def test_what_is_no_frame_is_refused():
    with pytest.raises(DamagedLog, match="cannot be unpacked"):
        unpacked(b"\x01" + b"\xff" * 20)


async def test_a_log_with_plain_and_packed_rows_reads_verifies_and_goes_on(make, tmp_path):
    path = tmp_path / "log.db"
    log = SqlLog.open(path)
    await log.append(make.observations(20))
    before = await log.observations("lot")
    await log.aclose()
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute("select position, payload from observations where position <= 10").fetchall()
        assert all(payload[0] == 1 for _, payload in rows)
        plain = [(unpacked(payload), position) for position, payload in rows]
        connection.executemany("update observations set payload = ? where position = ?", plain)  # as older releases wrote it
    log = SqlLog.open(path)
    await log.append(make.observations(5))
    assert (await log.observations("lot"))[:20] == before
    assert [one.faults for one in await log.read(verify_all, {})] == [()]
    await log.aclose()
