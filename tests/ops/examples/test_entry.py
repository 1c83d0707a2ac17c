"""The entry system: lists, the twin's answer, the site's rule without it, one opening a question, and what the twin is told."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx2
import pytest
from msgspec.structs import replace
from sqlalchemy import select

from ops.examples.database import opened
from ops.examples.entry import journal
from ops.examples.entry.cli import follow_answers
from ops.examples.entry.controller import Controller, Terms, gates_in
from ops.examples.entry.desk import create_desk, latency
from ops.examples.entry.gate import RelayGate, SimulatedGate
from ops.examples.entry.policy import Gate, Lists, by_list, by_twin, direction_of, without_twin
from ops.examples.entry.sender import Sender
from twin.backoff import Backoff
from twin.client import Event
from twin.errors import BadInput, Conflict
from twin.events.envelope import FactEvent
from twin.events.facts import GateDecided

SECOND = 1_000_000
T0 = 1_767_268_800 * SECOND
GATES = {"entry": Gate(direction="in"), "exit": Gate(direction="out"), "both": Gate(direction="both")}
QUICK = Backoff(lambda: 0.0, first_s=0.01, longest_s=0.01)
LISTS = Lists(allow=frozenset({"A1", "AD"}), deny=frozenset({"D1", "AD"}))


@pytest.mark.parametrize(
    ("plate", "direction", "answer"),
    [
        ("a-1", "in", "open"),
        ("A 1", "out", "open"),
        ("D1", "in", "refuse"),
        ("AD", "in", "refuse"),  # on both: deny goes before allow
        ("D1", "out", None),  # nobody is locked in by a list
        ("AD", "out", None),
        ("X9", "in", None),
        (None, "in", None),
        ("", "in", None),
    ],
)
def test_deny_goes_before_allow_and_holds_nobody_inside(plate, direction, answer):
    ruling = by_list(LISTS, direction, plate)
    assert (None if ruling is None else ruling.answer) == answer


@pytest.mark.parametrize(
    ("gate", "direction", "answer"),
    [
        (Gate(direction="in"), "in", "refuse"),
        (Gate(direction="out"), "out", "open"),
        (Gate(direction="in", if_unreachable="open"), "in", "open"),
        (Gate(direction="out", if_unreachable="closed"), "out", "refuse"),
        (Gate(direction="both"), None, "refuse"),
        (None, "out", "open"),
        (None, None, "refuse"),
    ],
)
def test_without_the_twin_a_gate_does_what_the_site_has_set_for_it(gate, direction, answer):
    assert without_twin(gate, direction, 2.0).answer == answer


def decided(asked, answer="open", expires_s=15.0, portal="exit"):
    return GateDecided(
        decision=f"g-{asked[:8]}",
        portal=portal,
        answer=answer,
        reasons=("paid",),
        confidence=1.0,
        expires_at=T0 + round(expires_s * SECOND),
        as_of_at=T0,
        asked=asked,
    )


def test_an_answer_that_has_expired_is_none():
    assert by_twin(decided("q1", expires_s=15), T0 + 15 * SECOND) is None
    assert by_twin(decided("q1", expires_s=15), T0 + 15 * SECOND - 1).answer == "open"


def test_a_way_is_the_gates_own_where_it_has_one():
    assert [direction_of(GATES, name, None) for name in ("entry", "exit", "both", "else")] == ["in", "out", None, None]
    assert direction_of(GATES, "both", "out") == "out"


class Place:
    """A controller over a journal in a file, a gate that is simulated, and a clock that the test moves."""

    def __init__(self, folder, **terms):
        self.engine = opened(f"sqlite:///{folder / 'entry.db'}", journal.metadata)
        self.gate, self.at, self.position = SimulatedGate(), T0, 0
        self.terms = Terms(**{"deadline_s": 0.05, "stale_s": 30.0, **terms})
        self.start()

    def start(self):
        with self.engine.begin() as connection:
            self.device = journal.device(connection, "lot", "gate-1", self.at)
        self.controller = Controller(
            self.engine, self.device, self.gate, now=lambda: self.at, wake=lambda: None, lists=LISTS, terms=self.terms
        )
        self.controller.know(GATES)

    def asks(self, portal="exit", given=None, plate=None, direction=None):
        return asyncio.ensure_future(self.controller.ask(portal, direction, plate=plate, loop=None, given=given))

    async def question(self, portal="exit"):
        """The last one, once it is in the journal."""
        async with asyncio.timeout(5):
            while True:
                with self.engine.begin() as connection:
                    wanted = select(journal.questions).where(journal.questions.c.portal == portal)
                    found = connection.execute(wanted.order_by(journal.questions.c.n.desc())).first()
                if found is not None:
                    return found
                await asyncio.sleep(0.001)

    def answer(self, asked, answer="open", *, again=False, **given):
        self.position += 0 if again else 1
        payload = decided(asked, answer, **given)
        fact = FactEvent(site="lot", fold_version="1", cause=self.position, ordinal=0, occurred_at=T0, payload=payload)
        attributes = {"site": "lot"}
        self.controller.decide(
            Event(id=fact.id, type="", position=self.position, recorded_at=T0, fact=fact, n_attempts=1, attributes=attributes)
        )

    def told(self, kind="gate.state.v1"):
        with self.engine.begin() as connection:
            found = connection.execute(select(journal.outbox).where(journal.outbox.c.type == kind)).all()
        return [json.loads(one.data) for one in found]

    async def acted(self):
        """All that was ordered is done."""
        async with asyncio.timeout(5):
            while self._unfinished():  # noqa: ASYNC110 - a journal has no event for it
                await asyncio.sleep(0.001)

    def _unfinished(self):
        with self.engine.begin() as connection:
            return journal.unfinished(connection)

    @property
    def openings(self):
        return dict(self.gate.openings)


@pytest.fixture
async def place(tmp_path):
    made = Place(tmp_path)
    yield made
    await made.controller.aclose()
    made.engine.dispose()


@pytest.fixture
async def patient(tmp_path):
    """Waits for long before it rules by itself."""
    made = Place(tmp_path, deadline_s=20.0)
    yield made
    await made.controller.aclose()
    made.engine.dispose()


async def test_the_twins_answer_opens_the_gate_once_however_often_it_comes(patient):
    asking = patient.asks()
    question = (await patient.question()).question
    patient.answer(question)
    patient.answer(question, again=True)
    patient.answer(question)  # another fact that says the same
    asked = await asking
    assert (asked.answer, asked.by, asked.reason) == ("open", "twin", "paid")
    await patient.acted()
    assert patient.openings == {("exit", question): 1}
    assert patient.told() == [], "what the twin decided it knows"


async def test_an_answer_that_refuses_or_asks_an_attendant_opens_nothing(patient):
    for portal, answer in (("exit", "refuse"), ("entry", "ask")):
        asking = patient.asks(portal)
        patient.answer((await patient.question(portal)).question, answer)
        assert (await asking).answer == answer
    assert patient.openings == {}


async def test_an_expired_answer_opens_nothing_and_the_sites_rule_decides(place):
    asking = place.asks("entry")
    question = (await place.question("entry")).question
    place.at += 16 * SECOND
    place.answer(question)
    asked = await asking
    assert (asked.answer, asked.by) == ("refuse", "unreachable")
    assert place.openings == {}


async def test_without_an_answer_an_exit_opens_and_an_entry_stays_closed_and_the_twin_is_told(place):
    for portal, answer, state in (("exit", "open", "open"), ("entry", "refuse", "closed")):
        asked = await place.asks(portal)
        assert (asked.answer, asked.by) == (answer, "unreachable")
        told = place.told()[-1]
        assert (told["portal"], told["state"], told["by"], told["asked"]) == (portal, state, "unreachable", asked.question)
        assert "within 0.05 s" in told["reason"]
    await place.acted()
    assert list(place.openings.values()) == [1]


async def test_who_was_kept_waiting_without_the_twin_is_let_through_by_its_answer_if_that_still_holds(place):
    asked = await place.asks("entry")
    assert asked.answer == "refuse"
    place.answer(asked.question, portal="entry")
    await place.acted()
    assert place.openings == {("entry", asked.question): 1}


async def test_who_was_let_through_without_the_twin_is_not_let_through_again_by_its_answer(place):
    asked = await place.asks("exit")
    place.answer(asked.question)
    await place.acted()
    assert place.openings == {("exit", asked.question): 1}


async def test_lists_decide_at_once_and_the_twin_is_told(patient):
    asked = await patient.asks("entry", plate="a 1")
    assert (asked.answer, asked.by) == ("open", "list")
    refused = await patient.asks("entry", plate="AD")
    assert (refused.answer, refused.by) == ("refuse", "list")
    patient.answer(refused.question, portal="entry")  # the twin knows nothing of lists
    await patient.acted()
    assert patient.openings == {("entry", asked.question): 1}
    assert [one["by"] for one in patient.told()] == ["list", "list"]


async def test_the_same_question_sent_again_is_the_same_question(patient):
    one, again = patient.asks(given="loop-1"), patient.asks(given="loop-1")
    patient.answer((await patient.question()).question)
    assert (await one).question == (await again).question
    assert len(patient.told("loop.tripped.v1")) == 1


async def test_gates_that_count_alike_ask_questions_of_their_own(patient):
    exiting, entering = patient.asks("exit", given="1"), patient.asks("entry", given="1")
    patient.answer((await patient.question("exit")).question)
    patient.answer((await patient.question("entry")).question, "refuse", portal="entry")
    assert [(await one).answer for one in (exiting, entering)] == ["open", "refuse"]
    await patient.acted()
    assert [portal for portal, _ in patient.openings] == ["exit"]


@pytest.mark.parametrize("answer", ["open", "refuse"])
async def test_a_name_that_comes_again_after_its_question_is_over_is_another_question(patient, answer):
    """As from a gate whose counter begins again after a power cut."""
    asking = patient.asks(given="1")
    first = (await patient.question()).question
    patient.at += 5 * SECOND
    patient.answer(first, answer)
    await asking
    await patient.acted()
    patient.at = T0 + 30 * SECOND + (5 * SECOND if answer == "open" else 0) - 1
    assert (await patient.asks(given="1")).question == first
    patient.at += 1
    asking = patient.asks(given="1")
    async with asyncio.timeout(5):
        while (second := (await patient.question()).question) == first:  # noqa: ASYNC110 - a journal has no event for it
            await asyncio.sleep(0.001)
    patient.answer(second, expires_s=60.0)
    assert (await asking).answer == "open"
    await patient.acted()
    assert set(patient.openings.values()) == {1}
    assert len(patient.told("loop.tripped.v1")) == 2


async def test_an_attendant_lets_through_whom_the_twin_did_not_and_says_why(patient):
    asking = patient.asks()
    question = (await patient.question()).question
    patient.answer(question, "ask")
    await asking
    ruled = patient.controller.override("exit", "open", "ann", "showed the receipt", None)
    assert (ruled.question, ruled.answer, ruled.by) == (question, "open", "attendant")
    await patient.acted()
    assert patient.openings == {("exit", question): 1}
    assert patient.told() == [
        {
            "portal": "exit",
            "state": "open",
            "by": "attendant",
            "author": "ann",
            "reason": "showed the receipt",
            "asked": question,
        }
    ]
    with pytest.raises(Conflict, match="once"):
        patient.controller.override("exit", "open", "ann", "again", question)


async def test_an_attendant_opens_a_gate_where_nobody_asked(patient):
    ruled = patient.controller.override("entry", "open", "ann", "a delivery", None)
    await patient.acted()
    assert patient.openings == {("entry", ruled.question): 1}
    assert patient.told() == [{"portal": "entry", "state": "open", "by": "attendant", "author": "ann", "reason": "a delivery"}]


async def test_a_gate_or_a_question_that_there_is_not_is_refused(patient):
    with pytest.raises(BadInput, match="it has both, entry, exit"):
        await patient.asks("cellar")
    with pytest.raises(BadInput, match="was asked no question"):
        patient.controller.override("exit", "open", "ann", "why", "nonsense")


async def test_an_opening_that_no_gate_took_before_a_kill_is_ordered_after_it(patient):
    patient.gate.is_away = True
    asking = patient.asks()
    question = (await patient.question()).question
    patient.answer(question)
    await asking
    await patient.controller.aclose()  # as a kill: the order is in the journal and was not taken
    patient.gate.is_away = False
    patient.start()
    patient.controller.resume()
    await patient.acted()
    assert patient.openings == {("exit", question): 1}


async def test_a_question_that_a_kill_left_is_answered_after_it(place):
    with place.engine.begin() as connection:
        name, _ = journal.ask(connection, place.device, "exit", None, None, None, T0, lasts_us=30 * SECOND)
    place.at += 5 * SECOND
    place.controller.resume()
    await place.acted()
    assert (await place.question()).answer == "open"
    assert place.openings == {("exit", name): 1}


async def test_a_question_that_is_long_over_opens_nothing_after_a_restart(place):
    with place.engine.begin() as connection:
        journal.ask(connection, place.device, "exit", None, None, None, T0, lasts_us=30 * SECOND)
    place.at += 3600 * SECOND
    place.controller.resume()
    await place.acted()
    question = await place.question()
    assert (question.answer, question.by) == ("refuse", "unreachable")
    assert "ask again" in question.reason
    assert place.openings == {}


async def test_a_gate_that_takes_no_order_in_time_is_told_to_the_twin_as_a_fault(place):
    place.gate.is_away = True
    place.controller._terms = replace(place.terms, stale_s=0.2)
    asking = place.asks()
    await asking
    place.at += SECOND
    await place.acted()
    assert (await place.question()).order == "failed"
    assert place.told()[-1] == {"portal": "exit", "state": "fault"}


async def test_an_order_that_is_long_over_after_a_restart_opens_nothing_and_is_no_fault_of_the_gate(patient):
    patient.gate.is_away = True
    asking = patient.asks()
    patient.answer((await patient.question()).question)
    await asking
    await patient.controller.aclose()
    patient.gate.is_away, patient.at = False, patient.at + 3600 * SECOND
    patient.start()
    patient.controller.resume()
    await patient.acted()
    assert (await patient.question()).order == "failed"
    assert patient.openings == {}
    assert patient.told() == []


@asynccontextmanager
async def sending(place, answer):
    """A sender to a service that answers as told; gives what reached it."""
    reached = []

    def received(request):
        reached.append([json.loads(line) for line in request.content.splitlines()])
        return answer(len(reached), reached[-1])

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(received)) as http:
        sender = Sender(http, "http://twin/v1/sites/lot", place.engine, place.device, lambda: place.at, QUICK)
        running = asyncio.create_task(sender.run())
        try:
            yield reached
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def receipts(events, **outcome):
    """An answer that has stored them all, or says something else of each."""
    return httpx2.Response(200, json={"receipts": [{"outcome": "stored", **outcome} for _ in events]})


def refusals(place):
    with place.engine.begin() as connection:
        return [one.refused for one in connection.execute(select(journal.outbox).order_by(journal.outbox.c.n))]


async def all_sent(place):
    async with asyncio.timeout(5):
        while True:
            with place.engine.begin() as connection:
                if not journal.unsent(connection, 10):
                    return
            await asyncio.sleep(0.005)


async def test_what_happened_while_the_twin_was_away_is_told_to_it_with_its_own_time(place):
    asked = await place.asks("exit")
    place.at += 600 * SECOND

    def away_twice(n, sent):
        return httpx2.Response(503) if n < 3 else receipts(sent)

    async with sending(place, away_twice) as reached:
        await all_sent(place)
    (tripped, state) = reached[-1]
    assert reached[0] == reached[-1], "a resend is the same"
    assert (tripped["type"], state["type"]) == ("loop.tripped.v1", "gate.state.v1")
    assert tripped["time"] == state["time"] == "2026-01-01T12:00:00.000000Z"
    assert (tripped["sequence"], state["sequence"], state["device"]) == ("1", "2", "gate-1")
    assert state["data"]["asked"] == asked.question


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_twin_that_refuses_to_tell_its_answers_stops_no_gate_and_is_asked_again(place, status, caplog):
    n_asked, is_heard = 0, asyncio.Event()

    async def received(request):
        nonlocal n_asked
        n_asked += 1
        if n_asked < 7:
            return httpx2.Response(status, json={"detail": "no"})
        if request.url.path.endswith("/lease"):
            is_heard.set()
            await asyncio.Event().wait()
        return httpx2.Response(200, json={})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(received)) as http:
        following = asyncio.create_task(follow_answers(http, "http://twin", "lot", place.controller, "gate-1", QUICK))
        heard = asyncio.create_task(is_heard.wait())
        await asyncio.wait((following, heard), return_when=asyncio.FIRST_COMPLETED, timeout=5)
        was_heard = is_heard.is_set()
        following.cancel()
        heard.cancel()
        await asyncio.gather(following, heard, return_exceptions=True)
    assert was_heard
    (warning,) = caplog.messages
    assert f"{status}: no" in warning


async def test_what_the_twin_refuses_does_not_hold_up_the_rest(place):
    for portal in ("exit", "entry", "exit"):
        place.controller.state(portal, "closed")

    def no_entry(_, events):
        has_entry = any(one["data"]["portal"] == "entry" for one in events)
        return httpx2.Response(422, text="no") if has_entry else receipts(events)

    async with sending(place, no_entry):
        await all_sent(place)
    assert refusals(place) == [None, "422: no", None]


@pytest.mark.parametrize("status", [302, 401, 403, 404, 408, 429, 500, 501, 502, 503, 504])
async def test_what_the_twin_does_not_take_for_a_while_reaches_it_later_and_is_said_once(place, status, caplog):
    for state in ("open", "closed"):
        place.controller.state("exit", state)
    async with sending(place, lambda n, sent: httpx2.Response(status, text="not now") if n < 4 else receipts(sent)) as reached:
        await all_sent(place)
    assert [len(sent) for sent in reached] == [2, 2, 2, 2], "nothing is taken apart to find a culprit"
    assert refusals(place) == [None, None]
    (warning,) = caplog.messages
    assert f"{status} not now" in warning


@pytest.mark.parametrize("answer", [httpx2.Response(200), httpx2.Response(200, json={"receipts": []})])
async def test_a_success_that_has_no_receipt_for_each_is_not_taken_for_one(place, answer):
    place.controller.state("exit", "open")
    async with sending(place, lambda n, sent: answer if n < 3 else receipts(sent)) as reached:
        await all_sent(place)
    assert len(reached) == 3


@pytest.mark.parametrize("outcome", ["refused", "expired"])
async def test_what_a_receipt_says_was_not_stored_is_kept_with_its_reason(patient, outcome):
    with patient.engine.begin() as connection:
        name, _ = journal.ask(connection, patient.device, "exit", None, None, None, T0, lasts_us=30 * SECOND)
    patient.controller.state("exit", "open")

    def first_is_not(_, sent):
        told = [{"outcome": outcome, "reason": "why"}, {"outcome": "duplicate", "position": "7"}]
        return httpx2.Response(200, json={"receipts": told})

    async with sending(patient, first_is_not):
        await all_sent(patient)
    assert refusals(patient) == [f"{outcome}: why", None]
    with patient.engine.begin() as connection:
        assert journal.question_of(connection, name).committed_at is None, "the twin does not have the question"


async def test_the_desk_takes_questions_states_and_overrides(patient):
    transport = httpx2.ASGITransport(app=create_desk(patient.controller, patient.engine))
    async with httpx2.AsyncClient(transport=transport, base_url="http://desk") as http:
        asking = asyncio.create_task(http.post("/gates/exit/loop", json={"id": "7"}))
        question = (await patient.question()).question
        patient.answer(question, "refuse")
        assert (await asking).json()["answer"] == "refuse"
        given = {"answer": "open", "author": "ann", "reason": "paid in cash"}
        assert (await http.post("/gates/exit/override", json=given)).json()["by"] == "attendant"
        assert (await http.post("/gates/exit/state", json={"state": "open"})).status_code == 204
        assert (await http.post("/gates/exit/state", json={"state": "ajar"})).status_code == 422
        assert (await http.post("/gates/cellar/loop", json={})).status_code == 422
        assert (await http.post("/gates/exit/override", json={**given, "question": question})).status_code == 409
        assert [one["answer"] for one in (await http.get("/questions")).json()["questions"]] == ["open"]
        assert (await http.get("/latency")).json()["n"] == 1


ACTS = {
    "/gates/exit/loop": b"{}",
    "/gates/exit/state": b'{"state": "open"}',
    "/gates/exit/override": b'{"answer": "open", "author": "page", "reason": "why not"}',
}


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example", "content-type": "application/json"}, 403),
        ({"origin": "null", "content-type": "application/json"}, 403),
        ({"origin": "http://desk", "content-type": "application/json"}, 403),  # a name that was made to lead here
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
    ],
)
async def test_a_web_page_does_nothing_at_the_desk(place, path, headers, status):
    transport = httpx2.ASGITransport(app=create_desk(place.controller, place.engine))
    async with httpx2.AsyncClient(transport=transport, base_url="http://desk") as http:
        assert (await http.post(path, content=ACTS[path], headers=headers)).status_code == status
        assert (await http.get("/questions")).json() == {"questions": []}
    assert (place.openings, place.told()) == ({}, [])


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_by_any_spelling_of_its_name_is_taken(place, media):
    transport = httpx2.ASGITransport(app=create_desk(place.controller, place.engine))
    async with httpx2.AsyncClient(transport=transport, base_url="http://desk") as http:
        told = await http.post("/gates/exit/state", content=b'{"state": "open"}', headers={"content-type": media})
    assert told.status_code == 204


async def test_latency_is_from_the_questions_commit_to_its_answer(patient):
    asking = patient.asks()
    question = await patient.question()
    with patient.engine.begin() as connection:
        journal.sent(connection, [question.n], T0)
    patient.at = T0 + 30_000
    patient.answer(question.question)
    await asking
    assert latency(patient.engine) == {"n": 1, "p50_ms": 30.0, "p99_ms": 30.0}


async def test_a_relay_is_ordered_by_a_name_so_that_twice_is_once():
    reached = []

    def received(request):
        reached.append((request.method, request.url.path))
        return httpx2.Response(204)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(received)) as http:
        await RelayGate(http, "http://relay/gates/").open("exit", "q1")
    assert reached == [("PUT", "/gates/exit/openings/q1")]


def test_gates_are_the_boundaries_of_the_site_model():
    model = {
        "portals": [
            {"id": "entry", "role": "boundary", "direction": "in", "if_unreachable": "open"},
            {"id": "ramp", "role": "level", "direction": "both", "if_unreachable": None},
        ]
    }
    assert gates_in(json.dumps(model).encode()) == {"entry": Gate(direction="in", if_unreachable="open")}
