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
