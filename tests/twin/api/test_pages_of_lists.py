"""Lists come in pages that hold still while the log grows."""

import pytest

LOT = "/v1/sites/lot"


async def paged(running, path, key, **params):
    """All pages from the first, and how many there were."""
    found, after, n_pages = [], "0", 0
    while after is not None:
        page = (await running.http.get(f"{LOT}/{path}", params={"after": after, **params})).json()
        found += page[key]
        after, n_pages = page.get("next"), n_pages + 1
    return found, n_pages


@pytest.fixture
def stays(story):
    return story.events(*(story.opened(f"p{n}", f"v{n}", at=n) for n in range(7)))


async def test_pages_of_sessions_are_the_whole_list(serve, stays):
    async with serve(stays) as running:
        whole = (await running.http.get(f"{LOT}/sessions")).json()
        found, n_pages = await paged(running, "sessions", "sessions", limit="3")
        assert (found, n_pages) == (whole["sessions"], 3)
        assert "next" not in whole


async def test_sessions_that_come_between_two_pages_are_in_neither(serve, story, stays):
    async with serve(stays) as running:
        first = (await running.http.get(f"{LOT}/sessions", params={"after": "0", "limit": "5"})).json()
        # Late data: it began before all others, and would move every page by one.
        await story.add(running.log, [story.event(8, story.opened("early", "v9", at=0), at=0)])
        second = (await running.http.get(f"{LOT}/sessions", params={"after": first["next"]})).json()
        assert [one["session"] for one in first["sessions"] + second["sessions"]] == [f"p{n}" for n in range(7)]
        assert (first["position"], second["position"], "next" in second) == ("7", "7", False)


async def test_sessions_of_which_something_was_told_since_a_time_come_in_pages_too(serve, story, stays):
    async with serve(stays) as running:
        await story.add(running.log, [story.event(8, story.closed("p2", "v2", 2.0, 9.0), at=9.0)])
        found, n_pages = await paged(running, "sessions", "sessions", limit="2", **{"from": "2026-01-01T12:00:05Z"})
        assert ([one["session"] for one in found], n_pages) == (["p2", "p4", "p5", "p6"], 2)
        refused = await running.http.get(f"{LOT}/sessions", params={"from": "noon"})
        assert (refused.status_code, "from='noon' cannot be read" in refused.json()["detail"]) == (422, True)


async def test_a_cursor_that_is_none_or_of_other_knowledge_is_refused(serve, stays):
    async with serve(stays) as running:
        for params, status in (
            ({"after": "p3"}, 422),
            ({"after": "99-0"}, 404),
            ({"after": "7-3", "known_at": "2"}, 409),
            ({"after": "7-99"}, 200),
        ):
            assert (await running.http.get(f"{LOT}/sessions", params=params)).status_code == status, params


async def test_pages_of_facts_are_the_whole_log_as_known(serve, stays):
    async with serve(stays) as running:
        found, n_pages = await paged(running, "facts", "facts", limit="2")
        assert ([one["position"] for one in found], n_pages) == ([str(n) for n in range(1, 8)], 4)
        found, _ = await paged(running, "facts", "facts", limit="2", known_at="3")
        assert [one["position"] for one in found] == ["1", "2", "3"]
        found, _ = await paged(running, "facts", "facts", limit="2", at="2026-01-01T12:00:02Z")
        assert [one["position"] for one in found] == ["1", "2"]


async def test_the_ledger_comes_in_pages_and_until_a_time(serve, story):
    closed = [story.closed(f"p{n}", exit=10.0 * (n + 1)) for n in range(5)]
    priced = [type(one)(**{name: getattr(one, name) for name in one.__struct_fields__} | PRICE) for one in closed]
    async with serve(story.events(*priced)) as running:
        whole = (await running.http.get(f"{LOT}/ledger")).json()["lines"]
        assert len(whole) == 5
        found, n_pages = await paged(running, "ledger", "lines", limit="2")
        assert (found, n_pages) == (whole, 3)
        early = (await running.http.get(f"{LOT}/ledger", params={"at": "2026-01-01T12:00:20Z"})).json()["lines"]
        assert early == whole[:2]


PRICE = {"tariff": "h@1", "currency": "EUR", "amount_minor": 200}
