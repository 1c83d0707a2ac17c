"""Rows of the tables and the events in them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Table, type_coerce

from twin.events.codec import unpack_fact, unpack_observation
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, RecordedFact, RecordedObservation
from twin.events.ids import EventId
from twin.log.sql import schema
from twin.log.sql.packing import Payload

_o, _f = schema.observations.c, schema.facts.c

OBSERVATION_COLUMNS = (
    _o.site, _o.position, _o.recorded_at, _o.occurred_at, _o.type, _o.device, _o.boot_epoch, _o.sequence, _o.payload,
)  # fmt: skip
FACT_COLUMNS = (
    _f.site, _f.position, _f.recorded_at, _f.occurred_at, _f.type, _f.fold_version, _f.cause, _f.ordinal, _f.supersedes,
    _f.payload,
)  # fmt: skip


def as_found(table: Table) -> list[ColumnElement[Any]]:
    """The columns of a log's table for those who check it: a payload that cannot be unpacked comes as it is stored."""
    log = "observations" if table is schema.observations else "facts"
    payload = type_coerce(table.c.payload, Payload(log, strict=False)).label("payload")
    return [payload if column.name == "payload" else column for column in table.c]


def recorded_observation(row: Row[*tuple[Any, ...]]) -> RecordedObservation:
    """The observation in a row of ``OBSERVATION_COLUMNS``."""
    site, position, recorded_at, occurred_at, name, device, boot_epoch, sequence, payload = row
    key = DeviceKey(device=device, boot_epoch=boot_epoch, sequence=sequence)
    event = ObservationEvent(site=site, key=key, occurred_at=occurred_at, payload=unpack_observation(name, payload))
    return RecordedObservation(position=position, recorded_at=recorded_at, event=event)


def recorded_fact(row: Row[*tuple[Any, ...]]) -> RecordedFact:
    """The fact in a row of ``FACT_COLUMNS``."""
    site, position, recorded_at, occurred_at, name, fold_version, cause, ordinal, supersedes, payload = row
    event = FactEvent(
        site=site,
        fold_version=fold_version,
        cause=cause,
        ordinal=ordinal,
        occurred_at=occurred_at,
        payload=unpack_fact(name, payload),
        supersedes=tuple(EventId(one) for one in supersedes.split(",") if one),
    )
    return RecordedFact(position=position, recorded_at=recorded_at, event=event)
