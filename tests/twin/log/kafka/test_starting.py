"""Whoever is told to stop while it connects leaves nothing open."""

from __future__ import annotations

import asyncio
import gc

import pytest

pytest.importorskip("aiokafka", reason="the extra 'kafka' is not installed")

from twin.log.kafka.broker import ensure_topic, reading
from twin.log.kafka.sending import Sender
from twin.log.kafka.starting import connect


async def _read(address):
    async with reading(await ensure_topic(address, "starting", n_partitions=1), 0):
        await asyncio.sleep(1)


async def _write(address):
    await (await Sender.start(address)).aclose()


@pytest.mark.parametrize("use", [_read, _write])
async def test_a_client_that_is_cancelled_while_it_connects_is_closed(broker, use, recwarn):
    for milliseconds in range(0, 40, 2):
        task = asyncio.create_task(use(broker.address))
        await asyncio.sleep(milliseconds / 1_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        del task
    gc.collect()
    assert not [str(one.message) for one in recwarn if "Unclosed" in str(one.message)]


async def test_a_start_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr("twin.log.kafka.starting._LONGEST_S", 0.01)
    ended = asyncio.Event()

    class Hanging:
        async def start(self):
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    task = asyncio.create_task(connect(Hanging()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
