"""The record is whole, in order, and forgets what is old."""

import asyncio

import pytest

from twin.access.audit import DAY_US, Audit, Entry
from twin.access.store import AccessStore
from twin.errors import Overloaded

NOON = 1_767_268_800_000_000


def entry(number=0, at=NOON):
    return Entry(at=at, site="lot", key="k", name="n", action="search", subject=str(number), address="::1", n_results=number)


@pytest.fixture
def store(tmp_path):
    store = AccessStore.open(tmp_path / "access.db")
    yield store
    store.close()


async def test_entries_that_come_together_are_stored_together_and_all_of_them(store):
    batches = []

    def append(entries):
        batches.append(len(entries))
        store.append_audit(entries)

    audit = Audit(append, store.audit_page, store.trim_audit)
    await asyncio.gather(*(audit.note(entry(number)) for number in range(100)))
    assert [one.subject for one in await audit.page("lot", after=0, limit=200)] == [str(number) for number in range(100)]
    assert (sum(batches), len(batches) < 5) == (100, True)


async def test_a_full_queue_and_a_failed_write_are_told_and_the_next_write_is_tried_again(store):
    is_full = True

    def append(entries):
        if is_full:
            raise Overloaded("the disk is full")
        store.append_audit(entries)

    audit = Audit(append, store.audit_page, store.trim_audit)
    told = await asyncio.gather(*(audit.note(entry(number)) for number in range(1_200)), return_exceptions=True)
    assert {str(one) for one in told} == {"the disk is full", "1000 entries wait for the access database; try again later"}
    is_full = False
    await audit.note(entry(7))
    assert [one.n_results for one in store.audit_page("lot", after=0, limit=10)] == [7]


async def test_old_entries_go_and_their_numbers_do_not_come_again(store):
    audit = Audit(store.append_audit, store.audit_page, store.trim_audit)
    for number in range(3):
        await audit.note(entry(number, NOON + number * DAY_US))
    trimmed, loop = asyncio.Event(), asyncio.get_running_loop()

    def trim(before):
        n_gone = store.trim_audit(before)
        loop.call_soon_threadsafe(trimmed.set)
        return n_gone

    keeping = asyncio.create_task(Audit(store.append_audit, store.audit_page, trim).keep(2.0, lambda: NOON + 4 * DAY_US))
    async with asyncio.timeout(5):
        await trimmed.wait()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await audit.note(entry(9))
    assert [one.number for one in store.audit_page("lot", after=0, limit=10)] == [3, 4]
