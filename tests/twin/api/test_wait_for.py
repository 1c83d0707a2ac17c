"""Read your writes: a read waits until what its reader wrote is folded."""

import asyncio

import pytest

from twin.log.port import FoldCommit

STATE = "/v1/sites/lot/state"


async def folded(running, story, cursor, facts=()):
    heads = await running.log.heads("lot")
    token = await running.log.acquire("lot", "test")
    await running.log.commit(FoldCommit(token=token, after=heads.cursor, cursor=cursor, facts=tuple(facts)))


@pytest.mark.parametrize("wanted", ["2", "observation:2", "fact:1"])
async def test_a_read_waits_until_its_readers_write_is_folded(serve, story, wanted):
    async with serve() as running:
        await running.log.append([story.observation(number) for number in (1, 2)])
        reading = asyncio.create_task(running.http.get(STATE, params={"wait_for": wanted}))
        done, _ = await asyncio.wait([reading], timeout=0.1)
        assert not done
        await folded(running, story, 2, [story.event(2, story.confirmed())])
        answer = await asyncio.wait_for(reading, 5)
        assert (answer.status_code, answer.json()["position"]) == (200, "1")


async def test_what_is_folded_already_is_not_waited_for(serve, story):
    async with serve(story.events(story.confirmed())) as running:
        async with asyncio.timeout(2):
            for wanted in ("1", "fact:1", "0"):
                assert (await running.http.get(STATE, params={"wait_for": wanted, "wait_s": "9"})).status_code == 200


async def test_an_observation_that_concludes_nothing_is_waited_for_too(serve, story):
    async with serve() as running:
        await running.log.append([story.observation(1)])
        reading = asyncio.create_task(running.http.get(STATE, params={"wait_for": "1"}))
        done, _ = await asyncio.wait([reading], timeout=0.1)
        assert not done
        await folded(running, story, 1)
        assert (await asyncio.wait_for(reading, 5)).status_code == 200


async def test_what_does_not_come_within_the_wait_is_told_with_where_the_fold_stands(serve, story):
    async with serve() as running:
        await running.log.append([story.observation(1)])
        answer = await running.http.get(STATE, params={"wait_for": "1", "wait_s": "0.05"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:twin:problem:not-yet")
        assert "observation 1 of site 'lot' was not folded within 0.05 s: it stands at 0" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"wait_for": "99"}, 404),
        ({"wait_for": "fact:99999"}, 404),
        ({"wait_for": "now"}, 422),
        ({"wait_for": "camera:1"}, 422),
        ({"wait_for": "9" * 19}, 422),
        ({"wait_s": "10"}, 422),
        ({"wait_s": "nan"}, 422),
    ],
)
async def test_what_cannot_come_is_not_waited_for(serve, story, params, status):
    async with serve(story.events(story.confirmed())) as running:
        async with asyncio.timeout(2):
            assert (await running.http.get(STATE, params=params)).status_code == status
