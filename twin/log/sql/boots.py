"""Boot epochs as numbers: which device, started when, is a row once, and an integer in every observation that it sent.

A number is given in the transaction that needs it first, and for good. No site is in it: one device and boot epoch have one
number, so that whoever edits either changes what observations say, which their hashes tell.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, ScalarSelect, func, insert, select

from twin.log.sql import schema
from twin.log.sql.names import give_numbers_alone, name_of, numbered

Boot = tuple[str, int]
"""Device and boot epoch."""

_b = schema.boots.c


def device_of(boot: ColumnElement[int]) -> ScalarSelect[str]:
    """The device in a column of numbers; NULL where a number is no boot epoch's."""
    return select(name_of(_b.device)).where(_b.number == boot).scalar_subquery()


def boot_epoch_of(boot: ColumnElement[int]) -> ScalarSelect[int]:
    """The boot epoch in a column of numbers; NULL likewise."""
    return select(_b.boot_epoch).where(_b.number == boot).scalar_subquery()


def numbered_boots(connection: Connection, boots: set[Boot]) -> dict[Boot, int]:
    """Numbers of boot epochs, given now where there is none; see ``twin.log.sql.names.numbered``."""
    found = _stored(connection, boots)
    if len(found) == len(boots):
        return found
    numbered(connection, {device for device, _ in boots})
    if give_numbers_alone(connection):
        found = _stored(connection, boots)  # another one may have given some meanwhile
    last = connection.scalar(select(func.max(_b.number))) or 0
    fresh = {boot: number for number, boot in enumerate(sorted(boots - found.keys()), last + 1)}
    rows = [{"number": number, "device": device, "boot_epoch": epoch} for (device, epoch), number in fresh.items()]
    if rows:
        connection.execute(insert(schema.boots), rows)
    return found | fresh


def _stored(connection: Connection, boots: set[Boot]) -> dict[Boot, int]:
    """One by one: a transaction seldom meets more than a few that it does not know."""
    found: dict[Boot, int] = {}
    for device, boot_epoch in boots:
        number = connection.scalar(select(_b.number).where(_b.device == device, _b.boot_epoch == boot_epoch))
        if number is not None:
            found[device, boot_epoch] = number
    return found
