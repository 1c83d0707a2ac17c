"""Names are numbers in rows: one number a name, whoever gives it, and none that was not stored."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from twin.log.port import FoldCommit
from twin.log.sql import SqlLog, schema
from twin.log.sql.names import Numbers, numbered


def named(connection):
    return {row.name: row.number for row in connection.execute(select(schema.names))}


@pytest.mark.parametrize("open_log", ["sqlite", "postgresql"], indirect=True)
async def test_a_name_has_the_number_that_it_was_given_first(open_log, make):
    log = open_log()
    await log.append(make.observations(2))
    first = await log.read(named)
    assert first.keys() == {"lot", "frame.observed.v1", "cam-1"}
    await log.aclose()
    log = open_log()
    await log.append([make.observation(), make.observation(device="cam-2")])
    assert await log.read(named) == {**first, "cam-2": 4}
    await log.aclose()


@pytest.mark.parametrize("open_log", ["postgresql"], indirect=True)
async def test_processes_that_meet_the_same_new_names_at_once_give_each_one_number(open_log, make):
    logs = [open_log() for _ in range(3)]
    devices = [f"cam-{number}" for number in range(40)]
    batches = [
        [make.observation(site=f"lot-{place}", device=device) for device in devices[place * step :: 3] or devices]
        for step in range(1, 9)
        for place in range(3)
    ]
    await asyncio.gather(*(logs[number % 3].append(batch) for number, batch in enumerate(batches)))
    numbers = await logs[0].read(named)
    assert len(set(numbers.values())) == len(numbers)
    assert set(devices) <= numbers.keys()
    for place, log in enumerate(logs):
        read = [one.event for one in await log.observations(f"lot-{place}", limit=1_000)]
        assert sorted(one.key for one in read) == sorted(one.key for batch in batches[place::3] for one in batch)
    for log in logs:
        await log.aclose()


async def test_a_number_of_a_transaction_that_was_not_stored_is_not_remembered(tmp_path, make):
    log, numbers = SqlLog.open(tmp_path / "log.db"), Numbers(numbered)

    def give(transaction, *names):
        numbers.begin()
        return dict(numbers.of(transaction.connection, set(names)))

    def undone(transaction):
        with transaction.connection.begin_nested() as part:
            given = give(transaction, "a", "b")
            part.rollback()
        return given

    assert await log.write(undone) == {"a": 1, "b": 2}
    assert await log.write(lambda transaction: give(transaction, "b")) == {"b": 1}
    numbers.committed()
    assert await log.write(lambda transaction: give(transaction, "a")) == {"a": 2, "b": 1}
    await log.aclose()


@pytest.mark.parametrize("n_types", [1, 2, 2_000])
async def test_any_number_of_types_can_be_asked_for(tmp_path, make, n_types):
    log = SqlLog.open(tmp_path / "log.db")
    await log.append(make.observations(2))
    facts = (make.fact(1), make.left(2))
    await log.commit(FoldCommit(token=await log.acquire("lot", "w"), after=0, cursor=2, facts=facts))
    types = ["vehicle.left.v1", *(f"vehicle.unheard_of.v{number}" for number in range(n_types - 1))]
    assert [one.event for one in await log.facts("lot", types=types)] == [facts[1]]
    assert [one.event for one in await log.facts("lot", types=["vehicle.unheard_of.v1"])] == []
    await log.aclose()
