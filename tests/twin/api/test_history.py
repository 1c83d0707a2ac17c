import pytest

from twin.projections import changes

LOT = "/v1/sites/lot"


def at(second):
    return f"2026-01-01T12:{second // 60:02d}:{second % 60:02d}Z"


def an_hour(story):
    """v1 comes, parks in s1, goes away and is gone at 40 s; v2 comes at 12 s; the 5th is corrected by the last."""
    wrong = story.event(5, story.moved("v1", 6.0, zone="row_b"), at=8)
    return [
        story.event(1, story.camera("left"), at=0),
        story.event(2, story.camera("right"), at=0),
        story.event(3, story.opened("p1", "v1", at=1), at=1),
        story.event(4, story.confirmed("v1"), at=2),
        wrong,
        story.event(6, story.parked("v1"), at=10),
        story.event(7, story.stall("s1"), at=10),
        story.event(8, story.confirmed("v2"), at=12),
        story.event(9, story.stall("s1", "free", None), at=30),
        story.event(10, story.moved("v1", 20.0), at=30),
        story.event(11, story.left("v1"), at=40),
        story.event(12, story.closed("p1", "v1", 1.0, 40.0), at=40),
        story.event(13, story.moved("v1", 6.5), at=8, supersedes=[wrong.id]),
    ]


async def get(running, path, status=200, **query):
    answer = await running.http.get(f"{LOT}/{path}", params={name.rstrip("_"): value for name, value in query.items()})
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.parametrize("known_at", [0, 4, 8, 12, 13])
async def test_a_series_is_the_occupancy_at_each_of_its_steps(serve, story, known_at):
    async with serve(an_hour(story)) as running:
        told = await get(running, "occupancy/series", from_=at(0), until=at(45), step_s=5, known_at=known_at)
        assert (told["position"], len(told["points"])) == (str(known_at), 10)
        for point in told["points"]:
            whole = await get(running, "occupancy", at=point["at"], known_at=known_at)
            zones = [{name: value for name, value in one.items() if name in whole["zones"][0]} for one in point["zones"]]
            assert {**point, "zones": zones} == {name: whole[name] for name in ("at", "zones", "counters")}
            assert all(one["n_occupied"] + one["n_free"] + one["n_unknown"] == one["n_stalls"] for one in point["zones"])


async def test_a_series_of_a_zone_has_only_that(serve, story):
    async with serve(an_hour(story)) as running:
        told = await get(running, "occupancy/series", from_=at(9), until=at(41), step_s=16, zone="row_a")
        assert [[zone["zone"] for zone in point["zones"]] for point in told["points"]] == [["row_a"]] * 3
        assert [point["zones"][0]["n_vehicles"] for point in told["points"]] == [0, 1, 0]


async def test_series_that_cannot_be_are_refused_with_what_to_ask_instead(serve, story):
    async with serve(an_hour(story)) as running:
        refused = [
            (422, {"from_": at(9)}, "'until' is missing"),
            (409, {"from_": at(9), "until": at(8)}, "is after until"),
            (409, {"from_": at(0), "until": "2026-01-02T12:00:00Z", "step_s": 1}, "86401 steps are more than 2000"),
            (422, {"from_": at(0), "until": at(9), "step_s": 0}, "step_s='0' cannot be used"),
            (422, {"from_": "noon", "until": at(9)}, "from='noon' cannot be read"),
        ]
        for status, query, what in refused:
            assert what in (await get(running, "occupancy/series", status, **query))["detail"]
        nowhere = await get(running, "occupancy/series", 404, from_=at(0), until=at(9), zone="roof")
        assert "has no zone 'roof'" in nowhere["detail"]


async def test_visitors_are_told_with_the_times_they_came_and_left(serve, story):
    async with serve(an_hour(story)) as running:

        async def visits(zone, begin, end, known_at):
            told = await get(running, f"zones/{zone}/visitors", from_=at(begin), until=at(end), known_at=known_at)
            return [
                (one["vehicle"], *(one[name] and one[name][17:19] for name in ("entered_at", "left_at")))
                for one in told["visits"]
            ]

        assert await visits("aisle", 0, 45, 12) == [
            ("v1", "02", "08"),
            ("v2", "12", None),
            ("v1", "30", "40"),
        ]
        # As known after the correction it was in the aisle all the time until it parked.
        assert await visits("aisle", 0, 45, 13) == [("v1", "02", "10"), ("v2", "12", None), ("v1", "30", "40")]
        assert await visits("aisle", 20, 25, 13) == [("v2", None, None)]
        assert await visits("row_a", 0, 45, 13) == [("v1", "10", "30")]
        assert "has no zone" in (await get(running, "zones/roof/visitors", 404, from_=at(0), until=at(9)))["detail"]
        assert "is after" in (await get(running, "zones/aisle/visitors", 409, from_=at(9), until=at(0)))["detail"]


async def test_changes_tell_what_a_correction_made(serve, story):
    async with serve(an_hour(story)) as running:
        told = await get(running, "changes", from_known_at=12, to_known_at=13, at=at(9))
        assert [one["position"] for one in told["added"]] == ["13"]
        assert [(one["fact"]["position"], one["by"]) for one in told["superseded"]] == [("5", "13")]
        assert "next" not in told
        (vehicle,) = told["state"]["vehicles"]
        assert (vehicle["before"]["zone"], vehicle["after"]["zone"]) == ("row_b", "aisle")
        assert (told["state"]["stalls"], told["state"]["sessions"], told["state"]["is_whole"]) == ([], [], True)
        same = await get(running, "changes", from_known_at=12, to_known_at=13)  # it is gone either way
        assert same["state"]["vehicles"] == []


@pytest.mark.parametrize("stretch", [1, 3, 1_000])
async def test_changes_tell_stays_as_they_were_known_and_are(serve, story, stretch, monkeypatch):
    monkeypatch.setattr(changes, "_STRETCH", stretch)
    monkeypatch.setattr(changes, "_PAGE", stretch)
    async with serve(an_hour(story)) as running:
        told = await get(running, "changes", from_known_at=6, to_known_at=13)
        (stay,) = told["state"]["sessions"]
        assert (stay["before"]["status"], stay["after"]["status"], stay["after"]["duration_s"]) == ("open", "closed", 39.0)
        assert told["state"]["counters_after"]["exits"] - told["state"]["counters_before"]["exits"] == 1
        assert [one["stall"] for one in told["state"]["stalls"]] == ["s1"]


async def test_changes_come_in_pages(serve, story):
    async with serve(an_hour(story)) as running:
        found, page, n_pages = [], {}, 0
        while "next" in page or not n_pages:
            query = {"after": page["next"]} if "next" in page else {}
            page = await get(running, "changes", from_known_at=2, to_known_at=13, limit=4, **query)
            assert (page["state"] is None) == bool(n_pages)
            found += [one["position"] for one in page["added"]]
            n_pages += 1
        assert (found, n_pages) == ([str(n) for n in range(3, 14)], 3)
        assert [one["by"] for one in page["superseded"]] == ["13"]


async def test_changes_of_a_stretch_of_time_are_of_that_alone(serve, story):
    async with serve(an_hour(story)) as running:
        told = await get(running, "changes", from_known_at=0, to_known_at=13, from_=at(8), until=at(10))
        assert [one["position"] for one in told["added"]] == ["5", "6", "7", "13"]
        assert told["state"] is None
        for status, query, what in (
            (422, {"from_known_at": 1}, "'to_known_at' is missing"),
            (409, {"from_known_at": 9, "to_known_at": 3}, "swap them"),
            (409, {"from_known_at": 1, "to_known_at": 3, "from_": at(1), "until": at(2), "at": at(1)}, "one or the other"),
            (409, {"from_known_at": 1, "to_known_at": 3, "after": 4}, "after=4 is not from 1 to 3"),
            (409, {"from_known_at": 1, "to_known_at": 3, "from_": at(1)}, "until is missing beside"),
        ):
            assert what in (await get(running, "changes", status, **query))["detail"]
        assert "beyond" in (await get(running, "changes", 404, from_known_at=1, to_known_at=99))["detail"]


async def test_a_stall_is_told_with_its_past(serve, story):
    async with serve(an_hour(story)) as running:
        now = await get(running, "stalls/s1")
        assert (now["stall"], now["state"], now["since_at"]) == ("s1", "free", "2026-01-01T12:00:30.000000Z")
        assert [one["type"] for one in now["history"]] == ["vehicle.parked.v1", "stall.changed.v1", "stall.changed.v1"]
        then = await get(running, "stalls/s1", at=at(11), known_at=8)
        assert (then["state"], then["vehicle"], len(then["history"])) == ("occupied", "v1", 2)
        assert len((await get(running, "stalls/s1", limit=1))["history"]) == 1
        assert "has no stall 's99'" in (await get(running, "stalls/s99", 404))["detail"]


async def test_a_camera_is_told_with_its_past(serve, story):
    events = [story.event(1, story.camera("left"), at=0), story.event(2, story.camera("left", "idle"), at=5)]
    async with serve(events) as running:
        now = await get(running, "cameras/left")
        assert (now["state"], [one["position"] for one in now["history"]]) == ("idle", ["1", "2"])
        then = await get(running, "cameras/left", at=at(3))
        assert (then["state"], [one["position"] for one in then["history"]]) == ("active", ["1"])
        assert (await get(running, "cameras/right"))["history"] == []
        assert "has no camera 'c9'" in (await get(running, "cameras/c9", 404))["detail"]
