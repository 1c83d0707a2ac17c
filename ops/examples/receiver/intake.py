"""What a message does: it is stored, and changes its stay's row, in one transaction and once."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, select, update

from ops.examples.billing.stay import Stay, stay_of
from ops.examples.receiver.schema import events, inbox, stays
from twin.client import Event
from twin.client.subscription import event_of
from twin.errors import BadInput, CodecError
from twin.events.ids import Micros

TEST_TYPE = "webhook.test"


def read(name: str, body: bytes) -> Event | None:
    """The event of a message whose signature is right; None: a test, which says nothing.

    Raises:
        BadInput: it is none, or another than the message says.
    """
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
        if told["id"] != name:
            raise BadInput(f"message '{name[:80]}' has event '{told['id']}'; they are one and the same at the twin")
        return None if told["type"] == TEST_TYPE else event_of(told)
    except (msgspec.DecodeError, CodecError, KeyError, TypeError, ValueError) as wrong:
        raise BadInput(f"message '{name[:80]}' has no event that can be read: {type(wrong).__name__}: {wrong}") from None


def take(connection: Connection, event: Event, body: str, now: Micros) -> bool:
    """Store an event and what it tells, if it is new; gives whether it is."""
    if not inbox.is_first(connection, event):
        connection.execute(update(events).where(events.c.id == event.id).values(n_copies=events.c.n_copies + 1))
        return False
    row = {"id": event.id, "type": event.type, "position": event.position, "received_at": now, "body": body}
    connection.execute(events.insert().values(row))
    stay = stay_of(None if event.fact is None else event.fact.payload)
    if stay is not None:
        _tell(connection, stay, event.position)
    return True


def _tell(connection: Connection, stay: Stay, position: int) -> None:
    """A stay's row is its latest version, whatever order versions come in: one that was parked and tried again comes late."""
    known = connection.execute(select(stays).where(stays.c.session == stay.session)).first()
    told = {"version": stay.version, "status": stay.status, "entry_at": stay.entry_at, "exit_at": stay.exit_at}
    told["position"] = position
    if known is None:
        connection.execute(stays.insert().values(session=stay.session, n_facts=1, **told))
        return
    newer = told if stay.version > known.version else {}
    row = update(stays).where(stays.c.session == stay.session)
    connection.execute(row.values(n_facts=known.n_facts + 1, **newer))
