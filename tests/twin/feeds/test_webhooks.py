"""What is kept of webhooks: bounds, secrets, and what is left when something breaks off."""

from __future__ import annotations

import pytest

from twin.errors import Conflict, Gone, NotFound
from twin.feeds import webhooks as module
from twin.feeds.webhook_messages import message_of_test
from twin.log.subscriptions import Filter

URL = "http://127.0.0.1:9/in"


async def test_there_is_an_end_to_how_many(place, monkeypatch):
    monkeypatch.setattr(module, "MOST_WEBHOOKS", 1)
    async with place() as here:
        await here.webhooks.put("x", URL, Filter())
        await here.webhooks.put("x", URL, Filter())
        with pytest.raises(Conflict, match="has 1 webhooks, the most; delete one first"):
            await here.webhooks.put("y", URL, Filter())


async def test_a_secret_is_sealed_where_it_is_kept_and_gone_with_its_webhook(place):
    async with place() as here:
        secret = (await here.webhooks.put("x", URL, Filter())).secret
        (kept,) = (await here.webhooks.load("x")).secrets
        assert secret.encode() not in kept.ciphertext
        webhook = await here.webhooks.load("x")
        assert "v1," in (await here.webhooks.signed(webhook, message_of_test("lot", "x", 1)))["webhook-signature"]
        await here.webhooks.delete("x")
        with pytest.raises(Gone, match="the secret of webhook 'x' was destroyed; rotate it"):
            await here.webhooks.signed(webhook, message_of_test("lot", "x", 1))


async def test_a_secret_whose_time_is_over_is_destroyed_at_the_next_rotation(place):
    async with place() as here:
        await here.webhooks.put("x", URL, Filter())
        (first,) = (await here.webhooks.load("x")).secrets
        await here.webhooks.rotate("x", overlap_s=60)
        here.now += 61_000_000
        await here.webhooks.rotate("x", overlap_s=60)
        assert await here.keys.decrypt("lot", first.key_id, first.ciphertext, (b"webhook", b"x")) is None
        assert len((await here.webhooks.load("x")).secrets) == 2


async def test_what_a_broken_off_deletion_left_does_not_come_back(place, story):
    async with place([story.event(n, story.moved(f"v{n}")) for n in range(1, 6)]) as here:
        await here.subscriptions.put("webhook.x", Filter(), after=0)
        put = await here.webhooks.put("x", URL, Filter(), after=3)
        assert put.standing.standing.acknowledged_to == 3


async def test_a_webhook_that_cannot_be_subscribed_is_not_made(place):
    async with place() as here:
        with pytest.raises(Conflict, match="cannot begin after position 7"):
            await here.webhooks.put("x", URL, Filter(), after=7)
        assert await here.webhooks.names() == []
        assert await here.subscriptions.names() == []


async def test_a_disabled_webhook_stays_so_when_it_is_paused_or_put_again(place):
    async with place() as here:
        await here.webhooks.put("x", URL, Filter())
        await here.webhooks.disable("x", "gone")
        assert (await here.webhooks.pause("x")).webhook.state == "disabled"
        assert (await here.webhooks.put("x", URL, Filter())).standing.webhook.state == "disabled"
        assert (await here.webhooks.resume("x")).webhook.state == "active"


async def test_a_rotation_of_none_leaves_no_key_behind(place):
    async with place() as here:
        with pytest.raises(NotFound, match="no webhook 'x'; PUT it first"):
            await here.webhooks.rotate("x", overlap_s=1)
        assert all(key is None for key in here.keys._keys.values())


async def test_a_secret_that_is_replaced_at_once_is_destroyed_at_once(place):
    async with place() as here:
        await here.webhooks.put("x", URL, Filter())
        (first,) = (await here.webhooks.load("x")).secrets
        await here.webhooks.rotate("x", overlap_s=0)
        (second,) = (await here.webhooks.load("x")).secrets
        assert await here.keys.decrypt("lot", first.key_id, first.ciphertext, (b"webhook", b"x")) is None
        assert await here.keys.decrypt("lot", second.key_id, second.ciphertext, (b"webhook", b"x")) is not None
