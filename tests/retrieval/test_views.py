"""How tracklets looked, without a comparison."""

import pytest

VIEWS = "/v1/sites/street/search/views"


@pytest.fixture
async def filmed(seen):
    """A red car before two cameras; the second view of the first tracklet is better than the first."""
    events = [
        seen.view("red-west", "red", "west", 0, quality=0.4),
        seen.view("red-west", "red", "west", 2, quality=0.9),
        seen.view("red-east", "red", "east", 40),
    ]
    await seen.log.append([*events, seen.tick(60)])
    return seen


async def asked(search, tracklets, **query):
    return await search.http.get(VIEWS, params={"tracklet": tracklets, **query})


async def test_each_tracklet_has_its_best_view_in_order_of_time(filmed, searching):
    async with searching(filmed.log, filmed.keys) as search:
        await search.caught_up(filmed.memory)
        views = (await asked(search, ["red-east", "red-west", "nobody"])).json()["views"]
    assert [(one["tracklet"], one["camera"]) for one in views] == [("red-west", "west"), ("red-east", "east")]
    assert views[0]["at"].endswith("12:00:02.000000Z")
    assert all(one["crop"] for one in views)


async def test_a_view_of_later_than_the_moment_is_not_known(filmed, searching):
    async with searching(filmed.log, filmed.keys) as search:
        await search.caught_up(filmed.memory)
        answer = await asked(search, ["red-west", "red-east"], at="2026-01-01T12:00:01Z")
    assert [one["at"] for one in answer.json()["views"]] == ["2026-01-01T12:00:00.000000Z"]


async def test_naming_none_or_too_many_is_refused_with_how_many(filmed, searching):
    async with searching(filmed.log, filmed.keys) as search:
        none = await search.http.get(VIEWS)
        many = await asked(search, [f"t{n}" for n in range(101)])
    assert (none.status_code, many.status_code) == (422, 422)
    assert "101 tracklets are named" in many.json()["detail"]


async def test_an_erased_tracklet_has_no_view(filmed, searching):
    async with searching(filmed.log, filmed.keys) as search:
        await search.caught_up(filmed.memory)
        assert (await asked(search, ["red-east"])).json()["views"]
        await filmed.keys.destroy("street", "red-east")
        await search.parts.forget("street", "red-east")
        assert (await asked(search, ["red-east"])).json()["views"] == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"foo": "1"}, "no parameter 'foo'"),
        ({"limit": "1"}, "no parameter 'limit'; it knows at, known_at, tracklet, wait_for, wait_s"),
        ({"at": ["2026-01-01T12:00:00Z"] * 2}, "'at' is given 2 times"),
        ({"wait_s": "long"}, "wait_s='long' cannot be used"),
        ({"wait_for": "x"}, "wait_for='x' is no position"),
    ],
)
async def test_what_a_read_of_views_does_not_know_is_refused(filmed, searching, query, said):
    async with searching(filmed.log, filmed.keys) as search:
        answer = await asked(search, ["red-west"], **query)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


async def test_views_wait_for_what_their_reader_wrote(filmed, searching):
    async with searching(filmed.log, filmed.keys) as search:
        await search.caught_up(filmed.memory)
        late = await asked(search, ["red-west"], wait_for="1", wait_s="0.05")  # nobody folds here
        there = await asked(search, ["red-west"], wait_for="0")
    assert (late.status_code, late.json()["type"]) == (409, "urn:twin:problem:not-yet")
    assert there.status_code == 200
