import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import LogClosed, Overloaded, RateLimited
from twin.feeds import hub as hub_module
from twin.feeds.delta import LiveMessage, merge
from twin.feeds.hub import Hub, Limits
from twin.feeds.subscriber import Close
from twin.feeds.view import LiveFilter
from twin.projections.naive import replay
from twin.projections.timeline import Timeline

ROW = st.tuples(st.integers(0, 13), st.integers(0, 29), st.integers(0, 11), st.integers(0, 60).map(lambda n: n if n < 6 else 0))
BATCHES = st.lists(st.lists(ROW, max_size=12), min_size=1, max_size=8)
BY_HAND = Limits(period_s=3600.0)


class Client:
    """Follows the feed's rules, and refuses what does not fit."""

    def __init__(self):
        self.epoch, self.seq, self.state = None, None, None
        self.kinds = []

    def take(self, text):
        msgspec.json.decode(text, type=LiveMessage)
        message = msgspec.json.decode(text)
        self.kinds.append(message["type"])
        if message["type"] == "snapshot":
            self.epoch, self.state = message["epoch"], message["state"]
        elif message["type"] == "delta":
            assert (message["epoch"], message["prev"]) == (self.epoch, self.seq)
            self.state = merge(self.state, message)
        if message["type"] != "ping":
            self.seq = message["seq"]
            assert message["position"] == self.state["position"]


@asynccontextmanager
async def running(log, site, limits=BY_HAND, epoch="e1"):
    hub = Hub(log, Timeline(log, site), epoch=epoch, limits=limits)
    task = asyncio.create_task(hub.run())
    try:
        await hub.started()
        yield hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def caught_up(hub, log):
    """Wait until the hub knows the whole log, then publish."""
    head = (await log.heads("lot")).facts
    async with asyncio.timeout(5):
        while hub.position < head or hub.is_behind:  # noqa: ASYNC110 - it has no event for a test
            await asyncio.sleep(0.001)
    hub.publish()


def drain(subscriber, client):
    for message in subscriber.take():
        client.take(message)


@settings(max_examples=40, deadline=None)
@given(batches=BATCHES, taking=st.lists(st.booleans(), min_size=8, max_size=8))
def test_a_client_that_applies_what_it_gets_has_the_servers_state_at_its_sequence_number(lot, story, batches, taking):
    async def follow():
        events = story.any([row for batch in batches for row in batch])
        log = await story.log(events[: len(batches[0])])
        done = len(batches[0])
        async with running(log, lot) as hub:
            with hub.subscribe() as subscriber:
                client = Client()
                for batch, takes in zip(batches[1:], taking, strict=False):
                    await story.add(log, events[done : done + len(batch)])
                    done += len(batch)
                    await caught_up(hub, log)
                    if takes:
                        drain(subscriber, client)
                        assert client.state == await replay(log, lot)
                drain(subscriber, client)
                assert client.state == await replay(log, lot)
                assert client.seq == hub.seq

    asyncio.run(follow())


async def test_a_client_gets_a_snapshot_then_deltas(lot, story):
    log = await story.log(story.events(story.confirmed()))
    async with running(log, lot) as hub:
        with hub.subscribe() as subscriber:
            client = Client()
            drain(subscriber, client)
            await story.add(log, [story.event(2, story.moved(), at=2)])
            await caught_up(hub, log)
            drain(subscriber, client)
            assert client.kinds == ["snapshot", "delta"]


async def test_all_clients_are_given_the_same_text(lot, story):
    log = await story.log(story.events(story.confirmed()))
    async with running(log, lot) as hub:
        with hub.subscribe() as one, hub.subscribe() as other:
            first, second = one.take(), other.take()
            assert first[0] is second[0]
            await story.add(log, [story.event(2, story.moved(), at=2)])
            await caught_up(hub, log)
            assert one.take()[0] is other.take()[0]


async def test_a_returning_client_gets_only_what_it_missed(lot, story):
    log = await story.log(story.events(story.confirmed()))
    async with running(log, lot) as hub:
        client = Client()
        with hub.subscribe() as subscriber:
            drain(subscriber, client)
        for number in range(2, 6):
            await story.add(log, [story.event(number, story.moved(x=number), at=number)])
            await caught_up(hub, log)
        with hub.subscribe(client.epoch, client.seq) as subscriber:
            drain(subscriber, client)
        assert client.kinds == ["snapshot", "delta", "delta", "delta", "delta"]
        assert client.state == await replay(log, lot)


@pytest.mark.parametrize(("epoch", "seq"), [("other", 0), ("e1", 99), (None, 0), ("e1", None)])
async def test_a_client_that_cannot_go_on_gets_a_snapshot(lot, story, epoch, seq):
    log = await story.log(story.events(story.confirmed()))
    async with running(log, lot) as hub:
        with hub.subscribe(epoch, seq) as subscriber:
            client = Client()
            drain(subscriber, client)
            assert client.kinds == ["snapshot"]


async def test_a_client_that_the_ring_no_longer_reaches_gets_a_snapshot(lot, story):
    log = await story.log(story.events(story.confirmed()))
    async with running(log, lot, Limits(period_s=3600.0, n_ring=2)) as hub:
        for number in range(2, 6):
            await story.add(log, [story.event(number, story.moved(), at=number)])
            await caught_up(hub, log)
        for seq, kinds in ((1, ["snapshot"]), (2, ["delta", "delta"])):
            with hub.subscribe("e1", seq) as subscriber:
                assert [msgspec.json.decode(text)["type"] for text in subscriber.take()] == kinds


async def test_a_slow_client_is_owed_one_delta_for_many_and_costs_no_memory(lot, story):
    log = await story.log(story.events(story.confirmed()))
    async with running(log, lot, Limits(period_s=3600.0, soft_limit=3, hard_limit=100)) as hub:
        with hub.subscribe() as subscriber:
            client = Client()
            drain(subscriber, client)
            for number in range(2, 12):
                await story.add(log, [story.event(number, story.moved(x=number), at=number)])
                await caught_up(hub, log)
            assert subscriber.n_queued == 0
            drain(subscriber, client)
            assert client.kinds == ["snapshot", "delta"]
            assert client.state == await replay(log, lot)
        assert (hub.slowness.n_conflated, hub.slowness.n_too_slow) == (1, 0)


async def test_a_client_that_takes_nothing_for_long_is_closed_and_may_come_back(lot, story):
    log = await story.log(story.events(story.confirmed()))
    async with running(log, lot, Limits(period_s=3600.0, soft_limit=2, hard_limit=4)) as hub:
        with hub.subscribe() as subscriber:
            for number in range(2, 8):
                await story.add(log, [story.event(number, story.moved(), at=number)])
                await caught_up(hub, log)
            assert subscriber.closed is Close.TOO_SLOW
            assert [text async for text in hub.messages(subscriber)] == []
        assert (hub.slowness.n_conflated, hub.slowness.n_too_slow) == (0, 1)  # it has not even taken its snapshot


async def test_one_client_more_than_allowed_is_refused(lot, story):
    async with running(await story.log(), lot, Limits(period_s=3600.0, n_clients=1)) as hub:
        with hub.subscribe(), pytest.raises(Overloaded, match="has 1 clients, its limit"), hub.subscribe():
            pass
        assert hub.n_clients == 0


async def test_one_key_has_a_share_of_the_clients_and_leaves_the_others_theirs(lot, story):
    async with running(await story.log(), lot, Limits(period_s=3600.0, n_clients=4, n_clients_each=2)) as hub:
        with hub.subscribe(key="k1"), hub.subscribe(key="k1"):
            with pytest.raises(
                RateLimited, match="2 clients of this key follow the live feed of site 'lot', the most of one key"
            ):
                hub.subscribe(key="k1").__enter__()
            with hub.subscribe(key="k2"), hub.subscribe():
                assert hub.n_clients == 4
        with hub.subscribe(key="k1"):
            assert hub.n_clients == 1
        assert not hub._n_by_key


async def test_one_key_has_a_share_of_the_filters(lot, story):
    async with running(await story.log(), lot, Limits(period_s=3600.0, n_views_each=1)) as hub:
        with hub.subscribe(wanted=AISLE, key="k1"):
            with pytest.raises(RateLimited, match="1 different filters of this key are followed at site 'lot'"):
                hub.subscribe(wanted=STALLS, key="k1").__enter__()
            with hub.subscribe(wanted=AISLE, key="k1"), hub.subscribe(key="k1"), hub.subscribe(wanted=STALLS, key="k2"):
                assert hub.n_clients == 4
        with hub.subscribe(wanted=STALLS, key="k1"):
            assert hub.n_clients == 1
        assert not hub._n_by_key_and_view


async def test_silence_is_filled_with_pings(lot, story):
    async with running(await story.log(), lot, Limits(period_s=3600.0, ping_s=0.01)) as hub:
        with hub.subscribe() as subscriber:
            messages = hub.messages(subscriber)
            kinds = [msgspec.json.decode(await anext(messages))["type"] for _ in range(3)]
            assert kinds == ["snapshot", "ping", "ping"]
            await messages.aclose()


async def test_a_client_that_missed_nothing_is_told_at_once_that_it_is_up_to_date(lot, story):
    async with running(await story.log(), lot) as hub:
        with hub.subscribe("e1", hub.seq) as subscriber:
            messages = hub.messages(subscriber)
            assert msgspec.json.decode(await anext(messages)) == {"type": "ping"}
            await messages.aclose()


async def test_deltas_come_by_themselves_as_facts_are_committed(lot, story):
    log = await story.log(story.events(story.confirmed()))
    async with running(log, lot, Limits(period_s=0.01)) as hub:
        with hub.subscribe() as subscriber:
            client, messages = Client(), hub.messages(subscriber)
            client.take(await anext(messages))
            await story.add(log, [story.event(2, story.moved(x=9.0), at=2)])
            async with asyncio.timeout(5):
                client.take(await anext(messages))
            assert client.state["vehicles"][0]["position_m"] == [9.0, 3.0]
            await messages.aclose()


async def test_when_the_hub_stops_its_clients_are_told_to_come_back(lot, story):
    log = await story.log()
    async with running(log, lot) as hub:
        with hub.subscribe() as subscriber:
            await log.aclose()
            await asyncio.wait_for(subscriber.until_closed(), 5)
            assert subscriber.closed is Close.STOPPING


async def test_a_log_that_keeps_failing_ends_the_hub_with_its_error(lot, story, monkeypatch):
    monkeypatch.setattr(hub_module, "RETRY_S", (0.0, 0.0))
    log = await story.log()

    async def broken(site, *, after):
        raise LogClosed("the disk is gone")
        yield []

    log.tail_facts = broken
    hub = Hub(log, Timeline(log, lot), epoch="e1")
    with pytest.raises(LogClosed, match="the disk is gone"):
        await asyncio.wait_for(hub.run(), 5)


AISLE = LiveFilter(zones=("aisle",))
STALLS = LiveFilter(kinds=("stall",))


class Connection:
    """Where frames are written, as long as there is room."""

    def __init__(self):
        self.has_room = True
        self.frames = []

    def write(self, frame):
        if self.has_room:
            self.frames.append(frame)
        return self.has_room


@asynccontextmanager
async def fed(hub, subscriber, client, gate):
    """Somebody sends the client what it is owed, while the gate is open."""

    async def send():
        async for message in hub.messages(subscriber):
            await gate.wait()
            client.take(message)

    task = asyncio.create_task(send())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_keeps_up_is_written_to_and_who_does_not_is_told_in_order_by_its_task(lot, story):
    log = await story.log(story.events(story.confirmed()))
    connection, client, gate = Connection(), Client(), asyncio.Event()
    gate.set()
    async with running(log, lot) as hub:
        with hub.subscribe(write=connection.write) as subscriber:
            async with fed(hub, subscriber, client, gate):
                await settled()
                await moved_to(hub, log, story, 2)
                client.take(unframed(connection.frames.pop()))
                connection.has_room = False
                gate.clear()
                await moved_to(hub, log, story, 3)
                await settled()
                connection.has_room = True
                await moved_to(hub, log, story, 4)
                assert connection.frames == []  # the one before is still being sent: this one must not pass it
                gate.set()
                await settled()
                assert client.kinds == ["snapshot", "delta", "delta", "delta"]
                assert client.state == await replay(log, lot)


async def moved_to(hub, log, story, number):
    await story.add(log, [story.event(number, story.moved(x=number), at=number)])
    await caught_up(hub, log)


def unframed(frame):
    """The text of an unmasked text frame, RFC 6455 5.2."""
    assert frame[0] == 0x81
    length = frame[1]
    begin = {126: 4, 127: 10}.get(length, 2)
    told = int.from_bytes(frame[2:begin], "big") if begin > 2 else length
    assert told == len(frame) - begin
    return frame[begin:].decode()


async def test_a_filtered_client_is_told_what_fits_and_resumes_with_the_same_filter_alone(lot, story):
    log = await story.log(story.events(story.confirmed(), story.confirmed("v2", zone="road")))
    async with running(log, lot) as hub:
        client = Client()
        with hub.subscribe(wanted=AISLE) as subscriber:
            drain(subscriber, client)
            assert [one["vehicle"] for one in client.state["vehicles"]] == ["v1"]
        for number, move in enumerate(
            (story.moved("v2", zone="road"), story.moved(x=9.0), story.moved(x=50.0, zone="road")), 3
        ):
            await story.add(log, [story.event(number, move, at=number)])
            await caught_up(hub, log)
        with hub.subscribe(client.epoch, client.seq, wanted=AISLE) as subscriber:
            drain(subscriber, client)
        assert client.kinds == ["snapshot", "delta", "delta"]
        assert client.state["vehicles"] == []
        for other in (STALLS, LiveFilter()):
            with hub.subscribe(client.epoch, client.seq, wanted=other) as subscriber:
                (message,) = subscriber.take()
                assert msgspec.json.decode(message)["type"] == "snapshot"


async def test_all_clients_of_a_filter_are_given_the_same_text(lot, story):
    log = await story.log(story.events(story.confirmed()))
    async with running(log, lot) as hub:
        with hub.subscribe(wanted=AISLE) as one, hub.subscribe(wanted=LiveFilter(zones=("aisle",))) as other:
            assert one.take()[0] is other.take()[0]
            await story.add(log, [story.event(2, story.moved(), at=2)])
            await caught_up(hub, log)
            assert one.take()[0] is other.take()[0]
            assert hub.n_views == 1


async def test_one_filter_more_than_allowed_is_refused_and_those_that_nobody_follows_make_room(lot, story):
    async with running(await story.log(), lot, Limits(period_s=3600.0, n_views=1)) as hub:
        with hub.subscribe(wanted=AISLE), pytest.raises(Overloaded, match="followed by 1 different filters, its limit"):
            hub.subscribe(wanted=STALLS).__enter__()
        with hub.subscribe(wanted=STALLS):
            assert (hub.n_views, hub.n_clients) == (1, 1)


async def test_a_filter_that_nobody_follows_is_kept_as_long_as_the_ring_reaches(lot, story):
    log = await story.log(story.events(story.confirmed()))
    async with running(log, lot, Limits(period_s=3600.0, n_ring=2)) as hub:
        with hub.subscribe(wanted=AISLE) as subscriber:
            client = Client()
            drain(subscriber, client)
        kept = []
        for number in range(2, 6):
            await story.add(log, [story.event(number, story.moved(), at=number)])
            await caught_up(hub, log)
            kept.append(hub.n_views)
        assert kept == [1, 1, 0, 0]
        with hub.subscribe(client.epoch, client.seq, wanted=AISLE) as subscriber:  # its numbers began anew
            drain(subscriber, client)
        assert client.kinds == ["snapshot", "snapshot"]
        assert client.state == merge_free(await replay(log, lot))


def merge_free(state):
    """What the aisle's view shows of a lot with one vehicle, in the aisle."""
    return {
        **state,
        "stalls": [],
        "zones": [one for one in state["zones"] if one["zone"] == "aisle"],
    }
