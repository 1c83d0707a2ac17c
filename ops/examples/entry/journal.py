"""What the entry system must not forget: questions and what came of them, and what the twin has not been told yet.

A question and the observation that asks it are stored in one transaction, and so are a ruling and the observation that tells of
it: what was done at a gate is in the twin's log sooner or later, with its own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Row, String, Table, select, update

from ops.examples.entry.policy import Ruling
from twin.events.ids import EventId, Micros, observation_id
from twin.events.observations import Direction
from twin.inbox import Inbox

metadata = MetaData()
inbox = Inbox("inbox", metadata)

_devices = Table(
    "devices",
    metadata,
    Column("device", String(200), primary_key=True),
    Column("boot_epoch", BigInteger, nullable=False),
)
_models = Table("models", metadata, Column("site", String(200), primary_key=True), Column("gates", String, nullable=False))
outbox = Table(
    "outbox",
    metadata,
    Column("n", Integer, primary_key=True),  # is the device's sequence
    Column("type", String(50), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("data", String, nullable=False),
    Column("sent_at", BigInteger, index=True),  # None: the twin has not got it
    Column("refused", String),  # why the twin will not have it
)
questions = Table(
    "questions",
    metadata,
    Column("question", String(64), primary_key=True),  # the id of the observation that asks
    Column("n", Integer, nullable=False, unique=True),
    Column("portal", String(200), nullable=False),
    Column("direction", String(3)),
    Column("asked_at", BigInteger, nullable=False),
    Column("answer", String(10)),  # None: nobody has answered
    Column("by", String(20)),
    Column("reason", String(1000)),
    Column("ruled_at", BigInteger),
    Column("order", String(10), nullable=False),  # to the gate: none, pending, taken, failed
    Column("committed_at", BigInteger),  # when the twin said that it has the question
    Column("received_at", BigInteger),  # when its answer came
)
_names = Table(  # that gates gave: each counts by itself, and begins again after a power cut
    "names",
    metadata,
    Column("portal", String(200), primary_key=True),
    Column("given", String(200), primary_key=True),
    Column("question", String(64), nullable=False),
)


class Device(Struct, frozen=True):
    """Whose observations these are; the boot epoch is the database's, whose sequence goes on after a restart."""

    site: str
    name: str
    boot_epoch: int

    def event_id(self, n: int) -> EventId:
        """The id that an observation has in the twin's log."""
        return observation_id(self.site, self.name, self.boot_epoch, n)


def device(connection: Connection, site: str, name: str, now: Micros) -> Device:
    """This device, as it was called when the database was made."""
    known = connection.scalar(select(_devices.c.boot_epoch).where(_devices.c.device == name))
    if known is None:
        connection.execute(_devices.insert().values(device=name, boot_epoch=now))
    return Device(site, name, now if known is None else known)


def keep_gates(connection: Connection, site: str, gates: bytes) -> None:
    """Remember a site's gates for when the twin cannot be reached."""
    connection.execute(_models.delete().where(_models.c.site == site))
    connection.execute(_models.insert().values(site=site, gates=gates.decode()))


def kept_gates(connection: Connection, site: str) -> str | None:
    """What was remembered; None: nothing."""
    return connection.scalar(select(_models.c.gates).where(_models.c.site == site))


def tell(connection: Connection, kind: str, at: Micros, **fields: Any) -> int:
    """Note an observation for the twin; gives its sequence."""
    told = msgspec.json.encode({name: value for name, value in fields.items() if value is not None}).decode()
    made = connection.execute(outbox.insert().values(type=kind, at=at, data=told)).inserted_primary_key
    assert made is not None
    return made[0]


def unsent(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """What the twin has not got yet, the oldest first."""
    return connection.execute(select(outbox).where(outbox.c.sent_at.is_(None)).order_by(outbox.c.n).limit(limit)).all()


def sent(connection: Connection, numbers: Sequence[int], now: Micros, refused: str | None = None) -> None:
    """The twin has these, or, with a reason, will never have them."""
    connection.execute(update(outbox).where(outbox.c.n.in_(numbers)).values(sent_at=now, refused=refused))
    if refused is None:
        connection.execute(update(questions).where(questions.c.n.in_(numbers)).values(committed_at=now))


def ask(
    connection: Connection,
    who: Device,
    portal: str,
    direction: Direction | None,
    loop: str | None,
    given: str | None,
    at: Micros,
    *,
    lasts_us: Micros,
) -> tuple[EventId, bool]:
    """A vehicle asks: its question, and whether it is a new one.

    The same name given by the same gate is the same question, until that is over: ``lasts_us`` after it was asked or, as its
    opening may be on its way to the gate, after it was answered with one.
    """
    if given is not None:
        known = _named(connection, portal, given)
        if known is not None and at < lasts_us + (known.ruled_at if known.answer == "open" else known.asked_at):
            return EventId(known.question), False
    n = tell(connection, "loop.tripped.v1", at, portal=portal, direction=direction, loop=loop)
    name = who.event_id(n)
    row = {"portal": portal, "direction": direction, "asked_at": at, "order": "none"}
    connection.execute(questions.insert().values(question=name, n=n, **row))
    if given is not None:
        connection.execute(_names.delete().where(_names.c.portal == portal, _names.c.given == given))
        connection.execute(_names.insert().values(portal=portal, given=given, question=name))
    return name, True


def _named(connection: Connection, portal: str, given: str) -> Row[Any] | None:
    wanted = select(questions).join(_names, _names.c.question == questions.c.question)
    return connection.execute(wanted.where(_names.c.portal == portal, _names.c.given == given)).first()


def question_of(connection: Connection, name: str) -> Row[Any] | None:
    """A question; None: it is not ours."""
    return connection.execute(select(questions).where(questions.c.question == name)).first()


def last_at(connection: Connection, portal: str) -> Row[Any] | None:
    """The last question at a portal that nobody was let through on."""
    wanted = select(questions).where(questions.c.portal == portal, questions.c.answer.is_distinct_from("open"))
    return connection.execute(wanted.order_by(questions.c.n.desc()).limit(1)).first()


def rule(connection: Connection, question: Row[Any], ruling: Ruling, at: Micros, author: str) -> bool:
    """Answer a question, and tell the twin where it was not its answer; gives whether that is to be acted on.

    One that opens is final. So is every other, but that a person may decide otherwise, and that a valid answer of the twin
    still opens to who was kept waiting without it.
    """
    comes_late = ruling.by is None and ruling.answer == "open" and question.by == "unreachable"
    if question.answer == "open" or (question.answer is not None and ruling.by != "attendant" and not comes_late):
        return False
    row = {"answer": ruling.answer, "by": ruling.by or "twin", "reason": ruling.reason, "ruled_at": at}
    row["order"] = "pending" if ruling.answer == "open" else "none"
    connection.execute(update(questions).where(questions.c.question == question.question).values(row))
    if ruling.by is not None:
        report(connection, question.portal, ruling, at, author, question.question)
    return True


def let_through(connection: Connection, who: Device, portal: str, ruling: Ruling, at: Micros, author: str) -> EventId:
    """A person decided where nobody had asked; gives the name of what stands for the question."""
    n = report(connection, portal, ruling, at, author, None)
    name = who.event_id(n)
    row = {"answer": ruling.answer, "by": ruling.by, "reason": ruling.reason, "ruled_at": at, "asked_at": at}
    row["order"] = "pending" if ruling.answer == "open" else "none"
    connection.execute(questions.insert().values(question=name, n=n, portal=portal, **row))
    return name


def report(connection: Connection, portal: str, ruling: Ruling, at: Micros, author: str, asked: str | None) -> int:
    """Tell the twin who let a vehicle pass, or did not, instead of it; gives the report's sequence."""
    state = "open" if ruling.answer == "open" else "closed"
    why = {"by": ruling.by, "author": author, "reason": ruling.reason, "asked": asked}
    return tell(connection, "gate.state.v1", at, portal=portal, state=state, **why)


def unfinished(connection: Connection) -> Sequence[Row[Any]]:
    """Questions without an answer, and those whose opening no gate has taken."""
    is_pending = questions.c.answer.is_(None) | (questions.c.order == "pending")
    return connection.execute(select(questions).where(is_pending).order_by(questions.c.n)).all()


def note(connection: Connection, question: str, **fields: Any) -> None:
    """Fields of a question that changed."""
    connection.execute(update(questions).where(questions.c.question == question).values(fields))
