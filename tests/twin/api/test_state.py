from twin.events.codec import canonical_json
from twin.projections.naive import replay

LOT = "/v1/sites/lot"


def a_stay(story):
    return story.events(
        story.opened(),
        story.confirmed(),
        story.assigned(),
        story.moved(),
        story.parked(),
        story.stall(),
        story.moved("v1", 70.0),
    )


async def test_the_state_is_the_canonical_fold(serve, lot, story):
    async with serve(a_stay(story)) as running:
        answer = await running.http.get(f"{LOT}/state")
        assert answer.status_code == 200
        assert answer.content == canonical_json(await replay(running.log, lot))


async def test_the_state_at_a_time_and_knowledge_is_that_fold(serve, lot, story):
    async with serve(a_stay(story)) as running:
        at, known = "2026-01-01T12:00:05Z", 6
        answer = await running.http.get(f"{LOT}/state", params={"at": at, "known_at": str(known)})
        assert answer.content == canonical_json(await replay(running.log, lot, at=story.noon + 5_000_000, known_at=known))
        assert answer.json()["vehicles"][0]["stall"] == "s1"


async def test_a_time_that_cannot_be_read_is_a_problem(serve, story):
    async with serve(a_stay(story)) as running:
        for name in ("state", "vehicles", "vehicles/v1", "occupancy", "sessions"):
            answer = await running.http.get(f"{LOT}/{name}", params={"at": "noon"})
            assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
            assert "at='noon' cannot be read" in answer.json()["detail"]


async def test_knowledge_beyond_the_head_is_not_found(serve, story):
    async with serve(a_stay(story)) as running:
        answer = await running.http.get(f"{LOT}/state", params={"known_at": "99"})
        assert answer.status_code == 404
        assert "head 7" in answer.json()["detail"]


async def test_a_vehicle_is_told_with_its_history_and_sightings(serve, story):
    async with serve(a_stay(story)) as running:
        told = (await running.http.get(f"{LOT}/vehicles/v1")).json()
        assert (told["state"], told["session"], told["position_m"]) == ("moving", "p1", [70.0, 3.0])
        assert told["sightings"] == [{"tracklet": "left/1", "camera": "left"}]
        assert [event["type"] for event in told["history"]][-3:] == [
            "vehicle.parked.v1",
            "stall.changed.v1",
            "vehicle.moved.v1",
        ]
        assert [event["position"] for event in told["history"]] == [str(n) for n in range(1, 8)]


async def test_a_history_can_be_cut_to_its_end(serve, story):
    async with serve(a_stay(story)) as running:
        told = (await running.http.get(f"{LOT}/vehicles/v1", params={"limit": "2"})).json()
        assert [event["position"] for event in told["history"]] == ["6", "7"]


async def test_a_vehicle_that_left_has_a_history_and_no_state(serve, story):
    async with serve(story.events(story.confirmed(), story.left())) as running:
        told = (await running.http.get(f"{LOT}/vehicles/v1")).json()
        assert (told["vehicle"], told["state"], len(told["history"])) == ("v1", None, 2)
        assert (await running.http.get(f"{LOT}/vehicles")).json()["vehicles"] == []


async def test_a_vehicle_that_nobody_saw_is_not_found(serve, story):
    async with serve(a_stay(story)) as running:
        answer = await running.http.get(f"{LOT}/vehicles/v404")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:twin:problem:not-found")


async def test_occupancy_is_the_part_of_the_state_that_counts(serve, story):
    async with serve(a_stay(story)) as running:
        state, told = [(await running.http.get(f"{LOT}/{name}")).json() for name in ("state", "occupancy")]
        assert told == {name: state[name] for name in ("site", "at", "position", "zones", "stalls", "counters")}


async def test_sessions_are_told_as_of_a_time(serve, story):
    events = [story.event(1, story.opened(), at=1), story.event(2, story.closed(), at=61.5)]
    async with serve(events) as running:
        early, late = [
            (await running.http.get(f"{LOT}/sessions", params=params)).json()["sessions"][0]
            for params in ({"at": "2026-01-01T12:01:00Z"}, {})
        ]
        assert (early["status"], late["status"], late["duration_s"]) == ("open", "closed", 60.5)


async def test_facts_come_in_pages(serve, story):
    async with serve(a_stay(story)) as running:
        page = (await running.http.get(f"{LOT}/facts", params={"after": "2", "limit": "3"})).json()
        assert [fact["position"] for fact in page["facts"]] == ["3", "4", "5"]
        assert page["head"] == "7"


async def test_a_page_that_is_no_number_is_a_problem(serve, story):
    async with serve(a_stay(story)) as running:
        for params in ({"limit": "0"}, {"limit": "many"}, {"after": "-1"}, {"limit": "999999"}, {"after": "9" * 30}):
            assert (await running.http.get(f"{LOT}/facts", params=params)).status_code == 422


async def test_sessions_can_be_cut_to_the_last_and_to_a_vehicle(serve, story):
    async with serve(story.events(story.opened("p1"), story.opened("p2", "v2"), story.opened("p3"))) as running:

        async def asked(**params):
            told = (await running.http.get(f"{LOT}/sessions", params=params)).json()
            return [one["session"] for one in told["sessions"]]

        assert await asked(limit="2") == ["p2", "p3"]
        assert await asked(vehicle="v1") == ["p1", "p3"]


async def test_the_ledger_of_a_stay_that_costs_nothing_yet_is_empty_and_of_none_a_problem(serve, story):
    async with serve(a_stay(story)) as running:
        answer = await running.http.get(f"{LOT}/ledger", params={"session": "p1"})
        assert (answer.status_code, answer.json()["lines"]) == (200, [])
        for query in ({"session": "nope"}, {"session": "p1", "known_at": "0"}):
            answer = await running.http.get(f"{LOT}/ledger", params=query)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
            assert f"has no session '{query['session']}' as known at position" in answer.json()["detail"]
