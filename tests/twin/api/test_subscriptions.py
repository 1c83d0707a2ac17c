"""Subscriptions over HTTP, as a consumer in any language uses them."""

import pytest

from twin.events.codec import micros

URL = "/v1/sites/lot/subscriptions"


@pytest.fixture
def two_stays(story):
    return story.events(story.opened("p1", "v1"), story.opened("p2", "v2"), story.closed("p1", "v1"), story.closed("p2", "v2"))


async def post(running, path, **body):
    answer = await running.http.post(f"{URL}/{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


async def test_a_consumer_leases_acknowledges_and_is_done(serve, two_stays):
    async with serve(two_stays) as running:
        made = await running.http.put(f"{URL}/billing", json={"types": ["session.closed.v1"], "after": "0"})
        assert (made.status_code, made.json()["lag"], made.json()["types"]) == (200, 4, ["session.closed.v1"])
        lease = await post(running, "billing/lease")
        assert [one["event"]["position"] for one in lease["deliveries"]] == ["3", "4"]
        assert lease["deliveries"][0]["event"]["subject"] == "p1"
        assert micros(lease["until"]) > micros(lease["deliveries"][0]["event"]["recordedtime"])
        assert await post(running, "billing/acknowledge", lease=lease["lease"], positions=["3", "4"]) == {"lost": []}
        assert (await post(running, "billing/lease"))["lease"] == 0
        told = (await running.http.get(f"{URL}/billing")).json()
        assert {name: told[name] for name in ("acknowledged_to", "lag", "n_acknowledged")} == {
            "acknowledged_to": "4",
            "lag": 0,
            "n_acknowledged": 2,
        }
        listed = (await running.http.get(URL)).json()
        assert listed["subscriptions"] == ["billing"]
        assert listed["standings"] == [{name: value for name, value in told.items() if name != "parked"}]


async def test_a_poison_fact_is_parked_with_its_reason_and_blocks_its_session_only(serve, two_stays):
    async with serve(two_stays) as running:
        await running.http.put(f"{URL}/x", json={"after": "0", "most_attempts": 1})
        lease = await post(running, "x/lease")
        refused = {"lease": lease["lease"], "position": "1", "reason": "no tariff for p1"}
        assert await post(running, "x/refuse", **refused) == {"lost": []}
        told = (await running.http.get(f"{URL}/x")).json()
        (parked,) = told["parked"]
        assert parked.pop("recorded_at") > "2026"
        assert parked == {
            "position": "1",
            "order": "session p1",
            "n_attempts": 1,
            "reason": "no tariff for p1",
            "n_behind": 1,
            "type": "session.opened.v1",
            "subject": "p1",
            "at": "2026-01-01T12:00:01.000000Z",
        }
        assert (told["n_parked"], told["n_blocked"], told["acknowledged_to"]) == (1, 1, "0")
        for position in ("2", "4"):
            lease = await post(running, "x/lease")
            assert [one["event"]["position"] for one in lease["deliveries"]] == [position]
            await post(running, "x/acknowledge", lease=lease["lease"], positions=[position])
        assert (await running.http.delete(f"{URL}/x/parked/1")).status_code == 204
        lease = await post(running, "x/lease")
        assert [one["event"]["position"] for one in lease["deliveries"]] == ["3"]
        assert (await running.http.post(f"{URL}/x/parked/3/retry")).status_code == 404


async def test_a_paused_subscription_gives_nothing_until_it_is_resumed_and_says_so(serve, two_stays):
    async with serve(two_stays) as running:
        await running.http.put(f"{URL}/billing", json={"after": "0"})
        first = await post(running, "billing/lease", limit=1)
        paused = await post(running, "billing/pause")
        assert (paused["state"], paused["paused_at"] > "2026") == ("paused", True)
        assert (await post(running, "billing/lease"))["deliveries"] == []
        assert await post(running, "billing/acknowledge", lease=first["lease"], positions=["1"]) == {"lost": []}
        (consumer,) = (await running.http.get("/-/consumers.json")).json()["subscriptions"]
        assert consumer["is_paused"] is True
        resumed = await post(running, "billing/resume")
        assert (resumed["state"], resumed["paused_at"], resumed["n_acknowledged"]) == ("active", None, 1)
        rest = await post(running, "billing/lease")
        assert [one["event"]["position"] for one in rest["deliveries"]] == ["2", "3", "4"]
        assert (await running.http.post(f"{URL}/nobody/pause")).status_code == 404
        assert (await running.http.post(f"{URL}/webhook.x/pause")).status_code == 409


async def test_metrics_tell_how_far_each_subscription_is_until_it_is_deleted(serve, two_stays):
    async with serve(two_stays) as running:

        async def told():
            text = (await running.http.get("/metrics")).text
            return {
                line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line.startswith("twin_subscription")
            }

        assert await told() == {}
        await running.http.put(f"{URL}/billing", json={"types": ["session.closed.v1"], "after": "0"})
        await running.http.put(f"{URL}/x", json={"after": "0", "most_attempts": 1})
        lease = await post(running, "billing/lease")
        await post(running, "billing/acknowledge", lease=lease["lease"], positions=["3"])
        lease = await post(running, "x/lease")
        await post(running, "x/refuse", lease=lease["lease"], position="1", reason="no tariff for p1")
        assert await told() == {
            'twin_subscription_lag{site="lot",subscription="billing"}': 1.0,
            'twin_subscription_lag{site="lot",subscription="x"}': 4.0,
            'twin_subscription_parked{site="lot",subscription="billing"}': 0.0,
            'twin_subscription_parked{site="lot",subscription="x"}': 1.0,
            'twin_subscription_paused{site="lot",subscription="billing"}': 0.0,
            'twin_subscription_paused{site="lot",subscription="x"}': 0.0,
        }
        await running.http.delete(f"{URL}/billing")
        assert sorted(await told()) == [
            f'twin_subscription_{of}{{site="lot",subscription="x"}}' for of in ("lag", "parked", "paused")
        ]


async def test_a_lease_is_released_extended_and_a_range_delivered_again(serve, two_stays):
    async with serve(two_stays) as running:
        await running.http.put(f"{URL}/x", json={"after": "0"})
        lease = (await post(running, "x/lease"))["lease"]
        assert await post(running, "x/extend", lease=lease, lease_s=60) == {"is_held": True}
        await post(running, "x/release", lease=lease)
        assert await post(running, "x/extend", lease=lease, lease_s=60) == {"is_held": False}
        lease = await post(running, "x/lease")
        await post(running, "x/acknowledge", lease=lease["lease"], positions=["1", "2", "3", "4"])
        await post(running, "x/replay", after="1", until="2")
        again = await post(running, "x/lease")
        assert [(one["event"]["position"], one["n_attempts"]) for one in again["deliveries"]] == [("2", 1)]
        assert (await running.http.delete(f"{URL}/x")).status_code == 204
        assert (await running.http.get(f"{URL}/x")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("nope/lease", {}, 404, "no subscription 'nope'; PUT it first"),
        ("x/lease", {"limit": 0}, 422, "limit=0 cannot be used; give 1 to 1000"),
        ("x/lease", {"wait_s": 1e9}, 422, "wait_s=1000000000.0 cannot be used; give 0 to 60"),
        ("x/lease", {"lease": 4}, 422, "unknown field `lease`"),
        ("x/acknowledge", {"lease": 1, "positions": ["-1"]}, 422, "positions='-1' is no position; give digits"),
        ("x/acknowledge", {}, 422, "missing required field `lease`"),
        ("x/replay", {"after": "0", "until": "9"}, 409, "subscription 'x' has read up to 0"),
    ],
)
async def test_a_request_that_cannot_be_is_told_why(serve, path, body, status, words):
    async with serve() as running:
        await running.http.put(f"{URL}/x", json={})
        answer = await running.http.post(f"{URL}/{path}", json=body)
        assert answer.status_code == status, answer.text
        assert words in answer.json()["detail"]


async def test_how_long_the_oldest_waits_is_of_facts_that_fit_and_are_not_done(serve, two_stays, story):
    async with serve(two_stays) as running:

        async def lag_s(name):
            return (await running.http.get(f"{URL}/{name}")).json()["lag_s"]

        for name, types in (("bills", ["session.closed.v1"]), ("gates", ["gate.decided.v1"]), ("row", [])):
            zones = ["row_b"] if name == "row" else []
            await running.http.put(f"{URL}/{name}", json={"types": types, "zones": zones, "after": "0"})
        assert await lag_s("bills") > 0.0
        assert [await lag_s(name) for name in ("gates", "row")] == [0.0, 0.0]  # behind in positions, and nothing waits
        lease = await post(running, "bills/lease")
        assert await lag_s("bills") > 0.0
        await post(running, "bills/acknowledge", lease=lease["lease"], positions=["3", "4"])
        assert await lag_s("bills") == 0.0
        await post(running, "bills/replay", after="2", until="3")
        told = (await running.http.get(f"{URL}/bills")).json()
        assert (told["lag_s"] > 0.0, told["replays_to"]) == (True, "3")


async def test_a_list_tells_how_far_each_is_and_leaves_webhooks_own_to_them(serve, two_stays):
    async with serve(two_stays) as running:
        await running.http.put(f"{URL}/billing", json={"after": "0"})
        await post(running, "billing/lease", consumer="desk-1")
        assert (await running.http.put("/v1/sites/lot/webhooks/bills", json={"url": "http://127.0.0.1:9/x"})).status_code == 200
        told = (await running.http.get(URL)).json()
        assert told["subscriptions"] == ["billing", "webhook.bills"]
        (billing,) = told["standings"]
        assert (billing["name"], billing["holders"], billing["n_leased"]) == ("billing", ["desk-1"], 4)
        (bills,) = (await running.http.get("/v1/sites/lot/webhooks")).json()["webhooks"]
        assert (bills["name"], bills["lag_s"], bills["owner"]) == ("bills", 0.0, "")


async def test_who_made_it_is_told_by_the_keys_name(serve, doors):
    async with doors() as doors, serve(access=doors.access) as running:
        headers = {"authorization": f"Bearer {doors.key('admin', name='Ann')}"}
        for path, body in ((f"{URL}/x", {}), ("/v1/sites/lot/webhooks/y", {"url": "http://127.0.0.1:9/x"})):
            assert (await running.http.put(path, json=body, headers=headers)).json()["owner"] == "Ann"
