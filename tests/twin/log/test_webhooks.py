"""The contract of webhook stores."""

import asyncio

import pytest
from msgspec.structs import replace

from twin.errors import Conflict
from twin.log.memory import MemoryLog
from twin.log.sql.webhooks import SqlWebhooks
from twin.log.webhooks import MOST_ATTEMPTS_KEPT, Attempt, MemoryWebhooks, Secret, Webhook

NEW = Webhook(
    site="lot",
    name="bills",
    url="https://bills.example/twin",
    created_at=7,
    secrets=(Secret(key_id="k2", ciphertext=b"\x00two"), Secret(key_id="k1", ciphertext=b"one", until=9)),
)
WHOLE = replace(NEW, state="disabled", reason="answered 410", held_until=11)


@pytest.fixture
def store(log):
    return MemoryWebhooks() if isinstance(log, MemoryLog) else SqlWebhooks(log)


def keep(value):
    return lambda _: (value, None)


def attempt(position):
    return Attempt(
        position=position,
        event_id=f"e{position}",
        n_attempts=2,
        at=5,
        outcome="failed",
        status=503,
        error="busy",
        duration_us=8,
        next_at=99,
    )


async def test_what_is_kept_is_read_back_whole(store):
    await store.change("lot", "bills", keep(WHOLE))
    assert await store.load("lot", "bills") == WHOLE
    assert await store.all("lot") == [WHOLE]
    await store.note("lot", "bills", [attempt(3), Attempt(position=4, event_id="e4", n_attempts=1, at=6, outcome="delivered")])
    last, first = await store.attempts("lot", "bills", limit=9)
    assert first == attempt(3)
    assert (last.position, last.status, last.next_at) == (4, None, None)
    assert await store.load("lot", "bills") == replace(WHOLE, n_attempts=2)


async def test_a_change_sees_the_one_before_and_gives_its_answer(store):
    await store.change("lot", "bills", keep(NEW))
    assert await store.change("lot", "bills", lambda there: (replace(there, state="paused"), there.state)) == "active"
    assert (await store.load("lot", "bills")).state == "paused"


async def test_a_refused_change_leaves_all_as_it_was(store):
    await store.change("lot", "bills", keep(NEW))

    def refuse(there):
        raise Conflict("not now")

    with pytest.raises(Conflict, match="not now"):
        await store.change("lot", "bills", refuse)
    assert await store.load("lot", "bills") == NEW


async def test_only_the_last_attempts_are_kept(store):
    await store.change("lot", "bills", keep(NEW))
    n = MOST_ATTEMPTS_KEPT + 20
    for begin in range(0, n, 40):
        await store.note("lot", "bills", [attempt(position) for position in range(begin, begin + 40)])
    kept = await store.attempts("lot", "bills", limit=10 * n)
    assert [one.position for one in kept] == list(range(n - 1, n - 1 - MOST_ATTEMPTS_KEPT, -1))
    assert [one.position for one in await store.attempts("lot", "bills", limit=2)] == [n - 1, n - 2]


async def test_attempts_noted_at_once_are_all_kept(store):
    await store.change("lot", "bills", keep(NEW))
    await asyncio.gather(*(store.note("lot", "bills", [attempt(n)]) for n in range(30)))
    assert sorted(one.position for one in await store.attempts("lot", "bills", limit=99)) == list(range(30))


async def test_a_deleted_one_takes_its_attempts_with_it_and_leaves_others_alone(store):
    for name in ("bills", "audit"):
        await store.change("lot", name, keep(replace(NEW, name=name)))
        await store.note("lot", name, [attempt(1)])
    await store.change("yard", "bills", keep(replace(NEW, site="yard")))
    await store.change("lot", "bills", keep(None))
    assert await store.load("lot", "bills") is None
    assert [one.name for one in await store.all("lot")] == ["audit"]
    assert len(await store.attempts("lot", "audit", limit=9)) == 1
    assert (await store.load("yard", "bills")).url == NEW.url
    await store.note("lot", "bills", [attempt(2)])
    await store.change("lot", "bills", keep(NEW))
    assert await store.attempts("lot", "bills", limit=9) == []
