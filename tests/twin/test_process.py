"""The parts of a serving process, and what is said of one that ends."""

import asyncio

import pytest

from twin.errors import LogClosed
from twin.process import Background


@pytest.mark.parametrize(
    ("failure", "has_traceback"),
    [(LogClosed("the log stopped: the disk is full"), False), (KeyError("a fault"), True)],
)
async def test_a_part_that_fails_is_told_and_only_a_fault_with_where_it_was(failure, has_traceback, caplog):
    async def part():
        raise failure

    background = Background()
    background.start("fusion of lot", part())
    async with asyncio.timeout(5):
        await background.failed.wait()
    assert background.failure is failure
    assert await background.check() == "not running: fusion of lot"
    (record,) = caplog.records
    assert record.getMessage() == f"fusion of lot failed: {failure}"
    assert (record.exc_info is not None) == has_traceback
    await background.aclose()
