"""The contract of subscription stores."""

import asyncio

import pytest
from msgspec.structs import fields, replace

from twin.errors import Conflict
from twin.log.memory import MemoryLog
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.log.subscriptions import Delivery, Filter, MemorySubscriptions, Replay, Subscription

NEW = Subscription(
    site="lot",
    name="billing",
    filter=Filter(types=("vehicle.left.v1",), zones=("z",)),
    most_attempts=3,
    created_at=7,
    read_to=2,
)


@pytest.fixture
def store(log):
    return MemorySubscriptions() if isinstance(log, MemoryLog) else SqlSubscriptions(log)


def keep(value):
    return lambda _: (value, None)


DELIVERIES = (
    Delivery(position=3, order="session s", state="leased", n_attempts=2, lease=9, holder="c1", until=11, reason="broke"),
    Delivery(position=8, order="vehicle v"),
)
WHOLE = replace(
    NEW,
    replay=Replay(until=4, resume=6),
    n_leases=9,
    n_acknowledged=5,
    n_discarded=1,
    pauses_s=(0.0, 5.0, 300.0),
    owner="Ann",
    paused_at=12,
    queue={one.position: one for one in DELIVERIES},
)


async def test_what_is_kept_is_read_back_whole(store):
    await store.change("lot", "billing", keep(WHOLE))
    assert await store.load("lot", "billing") == WHOLE
    assert list((await store.load("lot", "billing")).queue) == [3, 8]


def test_what_is_kept_above_differs_from_the_default_in_every_field():
    # The control: a field that a store forgets would else be read back as what it is without it.
    assert [one.name for one in fields(Subscription) if getattr(WHOLE, one.name) == one.default] == []


async def test_a_change_sees_the_one_before_and_gives_its_answer(store):
    await store.change("lot", "billing", keep(NEW))

    def forward(there):
        return replace(there, read_to=there.read_to + 1, queue={3: Delivery(position=3, order="a")}), there.read_to

    assert await store.change("lot", "billing", forward) == 2
    assert await store.change("lot", "billing", lambda there: (replace(there, queue={}), len(there.queue))) == 1
    kept = await store.load("lot", "billing")
    assert (kept.read_to, dict(kept.queue)) == (3, {})


async def test_changes_at_once_are_made_one_after_the_other(store):
    await store.change("lot", "billing", keep(NEW))
    await asyncio.gather(
        *(store.change("lot", "billing", lambda there: (replace(there, n_leases=there.n_leases + 1), None)) for _ in range(50))
    )
    assert (await store.load("lot", "billing")).n_leases == 50


async def test_a_refused_change_leaves_all_as_it_was(store):
    await store.change("lot", "billing", keep(NEW))

    def refuse(there):
        raise Conflict("not now")

    with pytest.raises(Conflict, match="not now"):
        await store.change("lot", "billing", refuse)
    assert await store.load("lot", "billing") == NEW


async def test_subscriptions_are_kept_by_site_and_name(store):
    await store.change("lot", "billing", keep(NEW))
    await store.change("lot", "audit", keep(replace(NEW, name="audit", queue={3: Delivery(position=3, order="a")})))
    await store.change("yard", "billing", keep(replace(NEW, site="yard", read_to=0)))
    assert await store.names("lot") == ["audit", "billing"]
    await store.change("lot", "audit", keep(None))
    assert await store.names("lot") == ["billing"]
    assert await store.load("lot", "audit") is None
    await store.change("lot", "audit", keep(replace(NEW, name="audit")))
    assert (await store.load("lot", "audit")).queue == {}
    assert (await store.load("yard", "billing")).read_to == 0
