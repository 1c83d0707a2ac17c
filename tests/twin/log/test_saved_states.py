"""Saved states that are not what was saved are passed over, and told once."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing

import pytest

from twin.log.port import Snapshot
from twin.log.sql import SqlLog

BODY = bytes(range(200))


def saved(position: int, body: bytes = BODY) -> Snapshot:
    return Snapshot(site="lot", kind="fusion", version="2:a", position=position, at=0, body=body)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.db"


async def with_three(path, clock, last: int = 3) -> SqlLog:
    log = SqlLog.open(path, clock=clock)
    for position in (1, 2, last):
        await log.save_snapshot(saved(position))
    return log


def edit(path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute(statement, values).rowcount == 1


async def newest(path, clock, limit: int = 1) -> list[int]:
    log = SqlLog.open(path, clock=clock, read_only=True)
    found = await log.load_snapshots("lot", "fusion", "2:a", until_position=999, limit=limit)
    assert all(one == saved(one.position) for one in found)
    await log.aclose()
    return [one.position for one in found]


async def at_place(path, clock, position: int):
    log = SqlLog.open(path, clock=clock, read_only=True)
    try:
        one = saved(position)
        return await log.load_snapshot("lot", one.kind, one.version, position=position, at=one.at)
    finally:
        await log.aclose()


@pytest.mark.parametrize("at", [0, 15, 16, 100, 215])  # in the digest, and in the body
async def test_a_byte_that_turned_makes_the_state_before_it_the_newest(path, clock, caplog, at):
    last = 10 + at  # a position for each case, as each is told once a process
    await (await with_three(path, clock, last)).aclose()
    with closing(sqlite3.connect(path)) as database:
        (body,) = database.execute("select body from snapshots where position = ?", (last,)).fetchone()
    edit(path, "update snapshots set body = ? where position = ?", body[:at] + bytes([body[at] ^ 4]) + body[at + 1 :], last)
    with caplog.at_level(logging.WARNING):
        assert await newest(path, clock) == [2]
        assert await newest(path, clock, limit=8) == [2, 1]
        assert await at_place(path, clock, last) is None
    assert await at_place(path, clock, 2) == saved(2)
    assert [f"saved at {last} are damaged" in line for line in caplog.messages] == [True]


async def test_one_that_stands_where_another_was_saved_is_no_state_of_there(path, clock):
    await (await with_three(path, clock)).aclose()
    edit(path, "update snapshots set position = 4 where position = 3")
    assert await newest(path, clock) == [2]


async def test_one_from_before_there_were_digests_is_made_again(path, clock):
    log = await with_three(path, clock)
    edit(path, "update snapshots set body = ? where position = 3", BODY)
    assert await newest(path, clock) == [2]
    await log.save_snapshot(saved(3))
    assert await newest(path, clock) == [3]
    await log.aclose()
