from msgspec.structs import replace

LOT = "/v1/sites/lot"


def doubtful(story):
    """A stay in doubt and an orphan."""
    opened = replace(story.opened("p1", "v1"), flags=("ambiguous_identity", "unverified"))
    return [story.event(1, opened, at=1.0), story.event(2, story.orphaned(exit=5.0), at=5.0)]


async def test_stays_in_doubt_are_told_with_how_many_wait(serve, story):
    async with serve(doubtful(story)) as running:
        told = (await running.http.get(f"{LOT}/review")).json()
    assert (told["position"], told["n_waiting"], told["n_decided"]) == ("2", 2, 0)
    assert [(one["session"]["session"], one["causes"]) for one in told["cases"]] == [
        ("p1", ["ambiguous_identity"]),
        ("p9", ["no_entry"]),
    ]


async def test_a_bound_leaves_the_counts_as_they_are(serve, story):
    async with serve(doubtful(story)) as running:
        told = (await running.http.get(f"{LOT}/review", params={"limit": "1"})).json()
    assert (len(told["cases"]), told["n_waiting"]) == (1, 2)


async def test_the_queue_is_of_a_moment(serve, story):
    async with serve(doubtful(story)) as running:
        known = (await running.http.get(f"{LOT}/review", params={"known_at": "1"})).json()
        early = (await running.http.get(f"{LOT}/review", params={"at": "2026-01-01T12:00:02Z"})).json()
        wrong = await running.http.get(f"{LOT}/review", params={"at": "noon"})
    assert [one["session"]["session"] for one in known["cases"]] == ["p1"]
    assert [one["session"]["session"] for one in early["cases"]] == ["p1"]
    assert wrong.status_code == 422


async def test_the_queue_is_of_what_was_told_since_a_time(serve, story):
    async with serve(doubtful(story)) as running:
        told = (await running.http.get(f"{LOT}/review", params={"from": "2026-01-01T12:00:05Z"})).json()
        later = (await running.http.get(f"{LOT}/review", params={"from": "2026-01-01T12:00:05.1Z"})).json()
        wrong = await running.http.get(f"{LOT}/review", params={"from": "noon"})
    assert [one["session"]["session"] for one in told["cases"]] == ["p9"]
    assert [one["session"] for one in told["cases"][0]["candidates"]] == ["p1"]
    assert (told["n_waiting"], later["n_waiting"], later["cases"]) == (1, 0, [])
    assert (wrong.status_code, "from" in wrong.json()["detail"]) == (422, True)


async def test_one_stay_is_told_and_another_is_not_there(serve, story):
    async with serve(doubtful(story)) as running:
        told = (await running.http.get(f"{LOT}/sessions/p1")).json()
        absent = await running.http.get(f"{LOT}/sessions/p2")
    assert (told["session"]["vehicle"], [one["status"] for one in told["versions"]]) == ("v1", ["open"])
    assert absent.status_code == 404
    assert "no session 'p2'" in absent.json()["detail"]
