"""Decisions sent as plain JSON become observations, once."""

import pytest

from twin.events.observations import OperatorDecided

URL = "/v1/sites/lot/decisions"
WAIVED = {
    "id": "ticket-7",
    "decision": "waive",
    "author": "ann",
    "reason": "barrier stuck",
    "at": "2026-01-01T12:00:00Z",
    "session": "s-1",
}


async def test_a_decision_is_stored_once_however_often_it_is_sent(serve):
    async with serve() as running:
        first, again = [(await running.http.post(URL, json=WAIVED)).json() for _ in range(2)]
        assert (first["outcome"], again["outcome"]) == ("stored", "duplicate")
        assert first["position"] == again["position"]
        (stored,) = await running.log.observations("lot", limit=10)
        decided = OperatorDecided(decision="waive", author="ann", reason="barrier stuck", session="s-1")
        assert stored.event.payload == decided


async def test_other_words_under_the_same_id_are_refused(serve):
    async with serve() as running:
        await running.http.post(URL, json=WAIVED)
        answer = await running.http.post(URL, json={**WAIVED, "reason": "another"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:twin:problem:content-conflict")
        assert "decision 'ticket-7' was sent before with other content, at position 1" in answer.json()["detail"]
        assert (await running.log.heads("lot")).observations == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"session": None}, "needs session"),
        ({"decision": "merge", "vehicle": "v-1"}, "needs other"),
        (
            {"decision": "fine"},
            "'decision': Invalid enum value 'fine'; use one of close, merge, reopen, set_plate, split, waive",
        ),
        ({"at": "noon"}, "'at': time 'noon' is not RFC 3339; give a time such as 2026-01-01T09:00:00Z"),
        ({"decision": "close", "exit_at": "2026-01-01T11:00:00"}, "'exit_at': time '2026-01-01T11:00:00' has no UTC offset"),
        ({"at": 7}, "'at': Expected `str`, got `int`"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "no year from"),
        ({"decision": "close", "exit_at": "9999-12-31T23:59:59-14:00"}, "no year from"),
        ({"colour": "red"}, "colour"),
        ({"reason": ""}, "reason"),
        ({"decision": "set_plate"}, "needs plate"),
        ({"decision": "set_plate", "plate": "AB <1>"}, "letters, digits, spaces"),
        ({"decision": "set_plate", "plate": "AB\n12"}, "letters, digits, spaces"),
        ({"decision": "set_plate", "plate": "- -"}, "has letters or digits"),
        ({"plate": "B-XY 123"}, "of 'set_plate' alone"),
    ],
)
async def test_a_decision_that_cannot_be_read_is_refused_with_what_is_wrong(serve, change, said):
    async with serve() as running:
        answer = await running.http.post(URL, json={**WAIVED, **change})
        assert answer.status_code == 422
        assert said in answer.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"decision": "close", "exit_at": "2098-12-31T23:59:59Z"}, "is after 'at'"),
        ({"decision": "merge", "vehicle": "v-1", "other": "v-1"}, "name the two"),
    ],
)
async def test_a_decision_that_contradicts_itself_is_a_conflict(serve, change, said):
    async with serve() as running:
        answer = await running.http.post(URL, json={**WAIVED, **change})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:twin:problem:contradiction")
        assert said in answer.text
