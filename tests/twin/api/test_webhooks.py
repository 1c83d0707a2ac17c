"""Webhooks over HTTP: made, tested, watched, rotated and replayed, with a receiver on a real socket."""

from __future__ import annotations

import asyncio

import pytest
from standardwebhooks import Webhook

from twin.evaluation.proofs import part
from twin.events.codec import micros, rfc3339

URL = "/v1/sites/lot/webhooks"


@pytest.fixture
def two_stays(story):
    return story.events(story.opened("p1", "v1"), story.opened("p2", "v2"), story.closed("p1", "v1"), story.closed("p2", "v2"))


@pytest.fixture
def receiver():
    return part("receiver").Receiver()


def reacting(status, **more):
    return part("receiver").Reaction(status, **more)


async def put(running, address, **given):
    answer = await running.http.put(f"{URL}/bills", json={"url": f"http://{address}/in", "after": "0", **given})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def told(running, is_so):
    async with asyncio.timeout(20):
        while not is_so(found := (await running.http.get(f"{URL}/bills")).json()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


async def post(running, path, body=None, status=None):
    answer = await running.http.post(f"{URL}/bills/{path}", json=body or {})
    assert answer.is_success if status is None else answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def test_a_webhook_is_made_delivers_and_tells_how_far_it_is(serve, two_stays, receiver):
    async with serve(two_stays) as running, receiver.listening() as address:
        made = await put(running, address, types=["session.closed.v1"])
        assert made["secret"].startswith("whsec_")
        requests = await receiver.until(2)
        for one in requests:
            event = Webhook(made["secret"]).verify(one.body, dict(one.headers))  # also that it is recent
            assert event["type"] == "session.closed.v1"
        found = await told(running, lambda one: one["acknowledged_to"] == "4")
        assert (found["lag"], found["n_acknowledged"], found["state"]) == (0, 2, "active")
        assert "secret" not in found
        assert made["secret"] not in (await running.http.get(URL)).text
        attempts = (await running.http.get(f"{URL}/bills/deliveries")).json()["deliveries"]
        assert {(one["position"], one["outcome"], one["status"], one["next_at"]) for one in attempts} == {
            ("3", "delivered", 200, None),
            ("4", "delivered", 200, None),
        }
        again = await put(running, address)
        assert again["secret"] is None
        assert (await running.http.delete(f"{URL}/bills")).status_code == 204
        assert (await running.http.get(f"{URL}/bills")).status_code == 404
        assert (await running.http.get(URL)).json() == {"webhooks": []}


async def test_a_test_is_signed_sent_at_once_and_tells_status_and_time(serve, receiver):
    async with serve() as running, receiver.listening() as address:
        secret = (await put(running, address))["secret"]
        await post(running, "pause")
        found = await post(running, "test")
        assert (found["status"], found["outcome"], found["position"], found["error"]) == (200, "delivered", None, "")
        assert 0.0 < found["duration_s"] < 5.0
        (request,) = receiver.requests
        event = Webhook(secret).verify(request.body, dict(request.headers))
        assert (event["type"], event["data"], event["id"]) == ("webhook.test", {"webhook": "bills"}, request.id)
        receiver.react = lambda one: reacting(500)
        assert (await post(running, "test"))["error"] == "the endpoint answered 500"
        assert len((await running.http.get(f"{URL}/bills/deliveries?limit=5")).json()["deliveries"]) == 2


async def test_a_secret_is_rotated_and_the_one_before_signs_for_the_stated_time(serve, receiver):
    async with serve() as running, receiver.listening() as address:
        first = (await put(running, address))["secret"]
        second = (await post(running, "secret", {"overlap_s": 60}))["secret"]
        await post(running, "test")
        for secret in (first, second):
            Webhook(secret).verify(receiver.requests[0].body, dict(receiver.requests[0].headers))
        found = await told(running, lambda one: one["old_secrets_until"])
        assert 0 <= micros(found["old_secrets_until"][0]) - micros(found["created_at"]) - 60_000_000 < 30_000_000
        third = (await post(running, "secret", {"overlap_s": 0}))["secret"]
        await post(running, "test")
        signed_by = [part("receiver").is_signed(receiver.requests[1], one) for one in (first, second, third)]
        assert signed_by == [False, False, True]
        assert len(receiver.requests[1].headers["webhook-signature"].split()) == 1
        for _ in range(3):
            await post(running, "secret")
        assert "secrets sign already" in (await post(running, "secret", status=409))["detail"]


async def test_leaked_secrets_are_revoked_at_once_while_as_many_sign_as_may(serve, receiver):
    async with serve() as running, receiver.listening() as address:
        leaked = [(await put(running, address))["secret"]]
        leaked += [(await post(running, "secret", {"overlap_s": 604_800}))["secret"] for _ in range(3)]
        assert "or with 'overlap_s' 0" in (await post(running, "secret", {"overlap_s": 604_800}, status=409))["detail"]
        new = (await post(running, "secret", {"overlap_s": 0}))["secret"]
        await post(running, "test")
        signed_by = [part("receiver").is_signed(receiver.requests[0], one) for one in (*leaked, new)]
        assert signed_by == [False, False, False, False, True]
        assert await told(running, lambda one: one["old_secrets_until"] == [])


async def test_what_is_parked_is_seen_tried_again_or_given_up_and_a_range_is_sent_again(
    serve, two_stays, receiver, monkeypatch
):
    monkeypatch.setattr("twin.feeds.webhooks.MOST_ATTEMPTS", 1)
    monkeypatch.setattr("twin.feeds.subscriptions._LOOK_EVERY_S", 0.05)
    async with serve(two_stays) as running, receiver.listening() as address:
        receiver.react = lambda one: reacting(422 if one.event["position"] in "12" else 200)
        await put(running, address)
        found = await told(running, lambda one: one["n_parked"] == 2)
        assert {(one["position"], one["reason"]) for one in found["parked"]} == {
            ("1", "the endpoint answered 422"),
            ("2", "the endpoint answered 422"),
        }
        assert (await running.http.delete(f"{URL}/bills/parked/2")).status_code == 204
        await told(running, lambda one: one["n_acknowledged"] == 1)
        receiver.react = lambda one: reacting(200)
        await post(running, "parked/1/retry")
        await told(running, lambda one: one["acknowledged_to"] == "4")
        await post(running, "parked/1/retry", status=404)
        n_sent = len(receiver.requests)
        await post(running, "replay", {"after": "1", "until": "2"})
        assert (await receiver.until(n_sent + 1))[-1].event["position"] == "2"
        recorded = {one.event["position"]: one.event["recordedtime"] for one in receiver.requests}
        await told(running, lambda one: one["n_waiting"] == one["n_leased"] == 0)
        times = {"from_at": recorded["1"], "until_at": rfc3339(micros(recorded["4"]) + 1)}
        await post(running, "replay", times)
        again = (await receiver.until(n_sent + 5))[n_sent + 1 :]
        assert sorted(one.event["position"] for one in again) == ["1", "2", "3", "4"]


async def test_its_subscription_cannot_be_taken_from_or_changed_by_hand(serve, two_stays, receiver):
    async with serve(two_stays) as running, receiver.listening() as address:
        await put(running, address)
        by_hand = "/v1/sites/lot/subscriptions/webhook.bills"
        for method, path in (("POST", "/lease"), ("POST", "/release"), ("PUT", ""), ("DELETE", ""), ("DELETE", "/parked/1")):
            answer = await running.http.request(method, by_hand + path, json={"lease": 1} if path == "/release" else {})
            assert (answer.status_code, "a webhook's own" in answer.text) == (409, True), (method, path)
        assert (await running.http.get(by_hand)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("Bills!", {"url": "https://example.com/"}, 422, "webhook 'Bills!' is no name"),
        ("x", {"url": "https://user:pass@example.com/"}, 422, "it names a user"),
        ("x", {"url": "ftp://example.com/"}, 422, "'ftp' is no scheme of a webhook; use https"),
        ("x", {"url": "https://10.1.2.3/"}, 403, "not public but private; whoever runs the service may allow it"),
        ("x", {"url": "https://[::1]/"}, 403, "not public but loopback"),
        ("x", {"url": "http://93.184.215.14/"}, 403, "sends over https"),
        ("x", {"url": "https://127.0.0.1/", "types": ["vehicle.flew.v1"]}, 422, "type 'vehicle.flew.v1' is not known"),
        ("x", {"url": "https://127.0.0.1/", "after": "7"}, 409, "cannot begin after position 7"),
        ("x", {}, 422, "missing required field `url`"),
    ],
)
async def test_a_webhook_that_cannot_be_is_told_why(serve, path, body, status, words):
    async with serve() as running:
        answer = await running.http.put(f"{URL}/{path}", json=body)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
        assert (await running.http.get(URL)).json() == {"webhooks": []}


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("replay", {}, 409, "give one of 'after' and 'from_at'"),
        ("replay", {"after": "0", "until_at": "2026-01-01T00:00:00Z"}, 409, "give one of"),
        ("replay", {"from_at": "yesterday"}, 422, "is not RFC 3339"),
        ("replay", {"after": "0", "until": "9"}, 409, "has read up to 0"),
        ("secret", {"overlap_s": 1e9}, 422, "overlap_s=1000000000.0 cannot be used; give 0 to 604800"),
    ],
)
async def test_a_request_that_cannot_be_is_told_why(serve, receiver, path, body, status, words):
    async with serve() as running, receiver.listening() as address:
        await put(running, address)
        assert words in (await post(running, path, body, status))["detail"]


@pytest.mark.parametrize("path", ["", "/pause", "/resume", "/secret", "/test", "/parked/1/retry", "/deliveries"])
async def test_one_that_is_not_there_is_told_so(serve, path):
    async with serve() as running:
        method = "GET" if path in ("", "/deliveries") else "POST"
        answer = await running.http.request(method, f"{URL}/nope{path}", json={})
        assert (answer.status_code, "no webhook 'nope'; PUT it first" in answer.text) == (404, True)


async def test_metrics_tell_how_far_each_webhook_is(serve, two_stays, receiver):
    async with serve(two_stays) as running, receiver.listening() as address:
        receiver.react = lambda one: reacting(410)
        await put(running, address)
        await told(running, lambda one: one["state"] == "disabled")
        text = (await running.http.get("/metrics")).text
        assert 'twin_webhook_disabled{site="lot",webhook="bills"} 1.0' in text
        assert 'twin_webhook_lag{site="lot",webhook="bills"} 4.0' in text
        assert 'twin_webhook_parked{site="lot",webhook="bills"} 0.0' in text
