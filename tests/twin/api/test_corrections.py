"""The index of corrections over HTTP; each leads to the difference that it made."""

import pytest

LOT = "/v1/sites/lot"
NOON = "2026-01-01T12:00:"


def corrected(story):
    """v1 was said to be in row_b at 8 s, and later in the aisle; at 20 s its stall is set right."""
    place = story.event(3, story.moved("v1", 6.0, zone="row_b"), at=8)
    stall = story.event(4, story.stall("s1", "free", None), at=20)
    return [
        story.event(1, story.camera("left"), at=0),
        story.event(2, story.confirmed("v1"), at=2),
        place,
        stall,
        story.event(5, story.moved("v1", 6.5), at=8, supersedes=[place.id]),
        story.event(6, story.stall("s1", "occupied", "v1"), at=20, supersedes=[stall.id]),
    ]


async def get(running, path, status=200, **query):
    answer = await running.http.get(f"{LOT}/{path}", params={name.rstrip("_"): value for name, value in query.items()})
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_correction_leads_to_the_difference_that_it_made(serve, story):
    async with serve(corrected(story)) as running:
        told = await get(running, "corrections")
        place, stall = told["corrections"]
        assert ("next" in told, told["position"]) == (False, "6")
        assert (place["vehicles"], place["n_superseded"], place["by"]) == (["v1"], 1, "twin")
        assert (stall["stalls"], stall["at"][:19]) == (["s1"], f"{NOON}20")
        ends = {"from_known_at": place["before"], "to_known_at": place["after"]}
        made = (await get(running, "changes", at=place["at"], **ends))["state"]
        assert [(one["before"]["zone"], one["after"]["zone"]) for one in made["vehicles"]] == [("row_b", "aisle")]
        counts = {one["zone"]: (one["before"]["n_vehicles"], one["after"]["n_vehicles"]) for one in made["zones"]}
        assert counts == {"aisle": (0, 1), "row_b": (1, 0)}


async def test_corrections_are_those_of_a_stretch_of_time_and_knowledge_by_pages(serve, story):
    async with serve(corrected(story)) as running:
        assert [one["after"] for one in (await get(running, "corrections", from_=f"{NOON}09Z"))["corrections"]] == ["6"]
        assert [one["after"] for one in (await get(running, "corrections", until=f"{NOON}09Z"))["corrections"]] == ["5"]
        assert (await get(running, "corrections", known_at=4))["corrections"] == []
        first = await get(running, "corrections", limit=1)
        assert ([one["after"] for one in first["corrections"]], first["next"]) == (["5"], "5")
        rest = await get(running, "corrections", limit=1, after=first["next"])
        assert ([one["after"] for one in rest["corrections"]], "next" in rest) == (["6"], False)


@pytest.mark.parametrize(
    ("status", "query", "what"),
    [
        (409, {"from_": f"{NOON}09Z", "until": f"{NOON}08Z"}, "is after until"),
        (409, {"after": 5, "known_at": 4}, "is beyond known_at, position 4"),
        (422, {"limit": 0}, "limit='0' cannot be used"),
        (422, {"from_": "noon"}, "from='noon' cannot be read"),
        (404, {"known_at": 99}, "beyond the fact log's head 6"),
    ],
)
async def test_what_cannot_be_asked_is_refused_in_words(serve, story, status, query, what):
    async with serve(corrected(story)) as running:
        assert what in (await get(running, "corrections", status, **query))["detail"]
