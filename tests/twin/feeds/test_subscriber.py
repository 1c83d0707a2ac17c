"""One client's outbox, without a hub."""

import asyncio
from contextlib import asynccontextmanager

from twin.feeds.subscriber import Close, Subscriber


class Source:
    """Tells its number."""

    def __init__(self):
        self.seq = 0
        self.n_ring = 100

    def snapshot(self):
        return f"snapshot {self.seq}"

    def since(self, seq):
        return f"{seq} to {self.seq}" if seq >= self.seq - self.n_ring else None


class Outbox:
    """A subscriber, and a connection with or without room."""

    def __init__(self, **given):
        self.source, self.has_room, self.written = Source(), True, []
        self.subscriber = Subscriber(self.source, write=self._write, **given)

    def _write(self, frame):
        if self.has_room:
            self.written.append(frame.decode())
        return self.has_room

    def publish(self):
        self.source.seq += 1
        self.subscriber.offer(str(self.source.seq), str(self.source.seq).encode())


@asynccontextmanager
async def waited_for(subscriber):
    """Somebody waits for what is owed."""
    waiting = asyncio.create_task(subscriber.ready())
    await asyncio.sleep(0)
    try:
        yield waiting
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_nothing_is_written_past_what_is_owed():
    outbox = Outbox()
    async with waited_for(outbox.subscriber):
        outbox.publish()
        outbox.has_room = False
        outbox.publish()
        outbox.has_room = True
        outbox.publish()  # the task that waits has not run yet
        assert (outbox.written, outbox.subscriber.take()) == (["1"], ["2", "3"])


async def test_nothing_is_written_while_nobody_waits():
    outbox = Outbox()
    outbox.publish()
    assert (outbox.written, outbox.subscriber.take()) == ([], ["1"])


async def test_what_was_written_does_not_count_against_the_limits():
    outbox = Outbox(soft_limit=2, hard_limit=4)
    async with waited_for(outbox.subscriber):
        for _ in range(10):
            outbox.publish()
        outbox.has_room = False
        outbox.publish()
        assert (outbox.subscriber.n_queued, outbox.subscriber.closed) == (1, None)


async def test_past_the_soft_limit_many_are_told_as_one_from_where_the_client_is():
    outbox = Outbox(soft_limit=2)
    async with waited_for(outbox.subscriber):
        outbox.publish()
        outbox.has_room = False
        for _ in range(5):
            outbox.publish()
        assert outbox.subscriber.n_queued == 0
        assert outbox.subscriber.take() == ["1 to 6"]
    outbox.publish()
    assert outbox.subscriber.take() == ["7"]


async def test_whom_the_ring_does_not_reach_is_told_everything():
    outbox = Outbox(soft_limit=2)
    outbox.source.n_ring = 3
    for _ in range(5):
        outbox.publish()
    assert outbox.subscriber.take() == ["snapshot 5"]


async def test_past_the_hard_limit_nothing_more_is_told():
    outbox = Outbox(soft_limit=2, hard_limit=4)
    for _ in range(5):
        outbox.publish()
    await asyncio.wait_for(outbox.subscriber.until_closed(), 1)
    assert (outbox.subscriber.closed, outbox.subscriber.take()) == (Close.TOO_SLOW, [])


async def test_a_ping_is_for_those_who_are_owed_nothing():
    outbox = Outbox()
    async with waited_for(outbox.subscriber):
        outbox.subscriber.ping("ping", b"ping")
        assert outbox.written == ["ping"]
        outbox.has_room = False
        outbox.publish()
        outbox.subscriber.ping("ping", b"ping")
        assert outbox.subscriber.take() == ["1"]
