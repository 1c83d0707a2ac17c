"""Work that takes a processor is bounded."""

import asyncio

import pytest

from twin.api.turns import Turns
from twin.errors import Overloaded


async def test_so_many_are_at_work_so_many_wait_and_the_next_is_told_to_come_again():
    turns, end = Turns(at_once=2, most_waiting=1), asyncio.Event()
    at_work = []

    async def work(name):
        async with turns.turn("works"):
            at_work.append(name)
            await end.wait()

    tasks = [asyncio.create_task(work(name)) for name in "abc"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert at_work == ["a", "b"]
    with pytest.raises(Overloaded, match="1 works wait already"):
        await work("d")
    end.set()
    await asyncio.gather(*tasks)
    assert at_work == ["a", "b", "c"]
    await work("e")  # what was held is free again


async def test_a_wait_that_is_given_up_holds_nothing():
    turns = Turns(at_once=1, most_waiting=1)
    async with turns.turn("works"):
        waiting = asyncio.create_task(turns.turn("works").__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with turns.turn("works"):
        pass
