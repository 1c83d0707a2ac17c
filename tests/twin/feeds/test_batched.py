"""What comes while something is being stored is stored together."""

from __future__ import annotations

import asyncio

import pytest

from twin.feeds.batched import Batched


async def test_what_comes_meanwhile_is_stored_together_next():
    stored, may_end = [], asyncio.Event()

    async def store(items):
        stored.append(list(items))
        await may_end.wait()

    batched = Batched(store)
    first = asyncio.create_task(batched.add(1))
    await asyncio.sleep(0)
    others = [asyncio.create_task(batched.add(n)) for n in (2, 3, 4)]
    await asyncio.sleep(0)
    assert not first.done()
    may_end.set()
    await asyncio.gather(first, *others)
    assert stored == [[1], [2, 3, 4]]


async def test_everybody_whose_item_could_not_be_stored_is_told():
    async def store(items):
        await asyncio.sleep(0)
        raise OSError("full")

    batched = Batched(store)
    found = await asyncio.gather(*(batched.add(n) for n in range(3)), return_exceptions=True)
    assert [str(one) for one in found] == ["full"] * 3


async def test_items_of_a_batch_whose_storing_was_cancelled_are_stored_by_the_next():
    stored, is_first = [], True

    async def store(items):
        nonlocal is_first
        if is_first:
            is_first = False
            await asyncio.sleep(60)
        stored.extend(items)

    batched = Batched(store)
    first = asyncio.create_task(batched.add(1))
    await asyncio.sleep(0)
    second = asyncio.create_task(batched.add(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert sorted(stored) == [1, 2]
