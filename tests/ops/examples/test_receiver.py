"""The webhook receiver: what is not signed as it should be is refused, what comes is stored once, and secrets change."""

import asyncio
from contextlib import asynccontextmanager

import httpx2
import pytest
from sqlalchemy import select, text

from ops.examples.database import opened
from ops.examples.receiver import secrets
from ops.examples.receiver.door import MOST_BYTES, create_door
from ops.examples.receiver.schema import events, inbox, metadata, stays
from twin.events.codec import to_json
from twin.events.envelope import FactEvent, RecordedFact
from twin.events.facts import SessionClosed, SessionOpened
from twin.events.ids import SECOND
from twin.feeds.webhook_messages import Message, headers_of, message_of_test, secret_text

NOW = 1_767_268_800 * SECOND
OLD, NEW, OTHERS = (secret_text(bytes([n]) * 32) for n in (1, 2, 3))


class Receiving:
    """A door over a database in a file, and its clock."""

    def __init__(self, url):
        self.engine, self.now = opened(url, metadata), NOW

    @asynccontextmanager
    async def open(self, *known):
        with self.engine.begin() as connection:
            for one in known:
                secrets.keep(connection, "received", one, NOW)
        transport = httpx2.ASGITransport(app=create_door(self.engine, "received", lambda: self.now))
        async with httpx2.AsyncClient(transport=transport, base_url="http://door") as self.http:
            yield self

    async def send(self, message, *signed_with, at=NOW):
        headers = headers_of(message, at, signed_with or (OLD,))
        return (await self.http.post("/twin", content=message.body, headers=headers)).status_code

    def rows(self, table):
        with self.engine.begin() as connection:
            return connection.execute(select(table)).all()


@pytest.fixture
def receiving(tmp_path):
    made = Receiving(f"sqlite:///{tmp_path / 'received.db'}")
    yield made
    made.engine.dispose()


def told(position, payload):
    fact = FactEvent(site="lot", fold_version="1", cause=position, ordinal=0, occurred_at=NOW, payload=payload)
    recorded = RecordedFact(position=position, recorded_at=NOW, event=fact)
    return Message(fact.id, to_json(recorded))


def entered(position=1):
    payload = SessionOpened(session="p1", vehicle="v1", portal="entry", entry_at=NOW, confidence=1.0, tariff="public@1")
    return told(position, payload)


def left(position=2):
    payload = SessionClosed(
        session="p1",
        vehicle="v1",
        portal="exit",
        entry_at=NOW,
        exit_at=NOW + 60 * SECOND,
        confidence=1.0,
        tariff="public@1",
        currency="EUR",
        amount_minor=200,
        final_at=NOW,
    )
    return told(position, payload)


async def test_what_comes_is_stored_once_however_often_and_beside_itself_it_comes(receiving):
    async with receiving.open(OLD):
        assert set(await asyncio.gather(*(receiving.send(entered()) for _ in range(8)))) == {204}
        assert await receiving.send(entered(), at=NOW + 100 * SECOND) == 204
    (stay,), (event,) = receiving.rows(stays), receiving.rows(events)
    assert (stay.session, stay.status, stay.n_facts) == ("p1", "open", 1)
    assert (event.position, event.n_copies) == (1, 8)


async def test_a_stays_row_is_its_latest_version_though_an_earlier_one_comes_late(receiving):
    async with receiving.open(OLD):
        assert [await receiving.send(one) for one in (left(), entered())] == [204, 204]
    (stay,) = receiving.rows(stays)
    assert (stay.version, stay.status, stay.position, stay.n_facts) == (2, "closed", 2, 2)
    assert [one.position for one in receiving.rows(events)] == [2, 1]


@pytest.mark.parametrize("off_s", [-301, 301, -86_400, 10**9])
async def test_a_request_of_another_time_is_refused_though_its_signature_is_right(receiving, off_s):
    async with receiving.open(OLD):
        assert await receiving.send(entered(), at=NOW + off_s * SECOND) == 401
        assert await receiving.send(entered(), at=NOW - 299 * SECOND) == 204
        receiving.now += 302 * SECOND
        assert await receiving.send(left(), at=NOW) == 401  # it was right when it was sent, and somebody sends it again
    assert len(receiving.rows(events)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1"},  # the library's own check breaks on it
        {"webhook-signature": "nonsense v1,%%%"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,é".encode().decode("latin-1")},
        {"webhook-signature": "v1a,AAAA"},
        {"webhook-id": "another"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(NOW // SECOND + 1)},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": f"{NOW / SECOND}"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "²"},
    ],
)
async def test_what_is_not_signed_so_is_refused_and_leaves_nothing(receiving, headers):
    async with receiving.open(OLD):
        sent = headers_of(entered(), NOW, (OLD,)) | headers
        shown = [(name.encode(), value.encode("latin-1", "replace")) for name, value in sent.items()]
        assert (await receiving.http.post("/twin", content=entered().body, headers=shown)).status_code == 401
    assert receiving.rows(inbox.table) == receiving.rows(events) == receiving.rows(stays) == []


@pytest.mark.parametrize("body", [entered().body.replace(b'"p1"', b'"p2"'), entered().body + b" ", b"", b"\xff\xfe"])
async def test_another_body_under_the_same_signature_is_refused(receiving, body):
    async with receiving.open(OLD):
        headers = headers_of(entered(), NOW, (OLD,))
        assert (await receiving.http.post("/twin", content=body, headers=headers)).status_code == 401
        assert await receiving.send(entered(), OTHERS) == 401
    assert receiving.rows(events) == []


async def test_while_a_secret_is_rotated_both_are_taken_and_then_the_new_one_alone(receiving):
    async with receiving.open(OLD):
        assert await receiving.send(entered(), OLD) == 204
        with receiving.engine.begin() as connection:  # another process: `rotate`
            secrets.ask(connection, "received")
            secrets.keep(connection, "received", NEW, NOW + 3_600 * SECOND)
            assert not secrets.is_unanswered(connection, "received")
        for signed in ((NEW, OLD), (OLD,), (NEW,)):
            assert await receiving.send(left(), *signed) == 204, signed
        receiving.now = later = NOW + 2 * 3_600 * SECOND
        assert await receiving.send(left(), OLD, at=later) == 401
        assert await receiving.send(left(), NEW, at=later) == 204


async def test_before_a_secret_is_known_it_asks_for_time_and_takes_nothing(receiving):
    async with receiving.open():
        answer = await receiving.http.post("/twin", content=entered().body, headers=headers_of(entered(), NOW, (OLD,)))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert receiving.rows(events) == []


async def test_what_is_signed_and_is_no_event_is_told_from_a_test_and_from_what_it_does_not_know_yet(receiving):
    unknown = entered().body.replace(b"session.opened.v1", b"session.dreamt.v9")
    async with receiving.open(OLD):
        assert await receiving.send(message_of_test("lot", "received", NOW)) == 204
        assert receiving.rows(events) == []
        for body in (b"[]", b"{", b"7", entered().body.replace(b'"position":"1"', b'"position":"x"')):
            assert await receiving.send(Message(entered().id, body)) == 422, body
        assert await receiving.send(Message("another", entered().body)) == 422
        assert await receiving.send(Message(entered().id, b" " * (MOST_BYTES + 1))) == 413
        assert receiving.rows(events) == []
        assert await receiving.send(Message(entered().id, unknown)) == 204  # kept for whoever knows it
    assert ([one.type for one in receiving.rows(events)], receiving.rows(stays)) == (["session.dreamt.v9"], [])


async def test_what_the_database_does_not_take_is_no_success_and_holds_up_nothing_else(receiving):
    async with receiving.open(OLD):
        with receiving.engine.begin() as connection:
            connection.execute(text("create trigger full before insert on stays begin select raise(abort, 'full'); end"))
        answer = await receiving.http.post("/twin", content=entered().body, headers=headers_of(entered(), NOW, (OLD,)))
        assert (answer.status_code, "retry-after" in answer.headers) == (500, False)
        assert receiving.rows(events) == receiving.rows(inbox.table) == []  # all of it or nothing
        with receiving.engine.begin() as connection:
            connection.execute(text("drop trigger full"))
        assert await receiving.send(entered()) == 204
