"""Rows of the tables and the events in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, LargeBinary, Row, Select, Table, case, type_coerce

from twin.events.codec import fact_in, observation_in, unpack_fact, unpack_observation
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, Recorded, RecordedFact, RecordedObservation
from twin.events.ids import EventId, Micros, SiteId, fact_id
from twin.log.content import Content
from twin.log.sql import schema
from twin.log.sql.boots import Boot, boot_epoch_of, device_of
from twin.log.sql.fact_ids import id_head, packed_ids
from twin.log.sql.packing import Payload, packed, read

_o, _f = schema.observations.c, schema.facts.c

DEVICE, BOOT_EPOCH = device_of(_o.boot).label("device"), boot_epoch_of(_o.boot).label("boot_epoch")
"""Those of an observation."""

_STORED_OBSERVATION = type_coerce(_o.payload, LargeBinary).label("payload")
_STORED_FACT = type_coerce(_f.payload, LargeBinary).label("payload")

OBSERVATION_COLUMNS = (
    _o.position, _o.recorded_at, _o.occurred_at, _o.type, DEVICE, BOOT_EPOCH, _o.sequence, _STORED_OBSERVATION,
)  # fmt: skip
FACT_COLUMNS = (
    _f.position, _f.recorded_at, _f.occurred_at, _f.type, _f.fold_version, _f.cause, _f.ordinal, _f.supersedes,
    _STORED_FACT,
)  # fmt: skip

_NAMED_OF_FACTS = ("site", "type", "subject", "fold_version")


Stored = tuple[int, Micros, ObservationEvent, Content]
"""An observation with its position and when it was recorded."""

AS_DEVICE = ""
"""A stored subject that is the device's name; no name is empty."""

SUBJECT = case((_o.subject == AS_DEVICE, device_of(_o.boot)), else_=_o.subject).label("subject")
"""The subject of an observation."""


def as_found(table: Table) -> list[ColumnElement[Any]]:
    """The columns of a log's table for those who check it: a payload that cannot be unpacked comes as it is stored."""
    log = "observations" if table is schema.observations else "facts"
    payload = type_coerce(table.c.payload, Payload(log, strict=False)).label("payload")
    said: dict[str, list[ColumnElement[Any]]] = {"payload": [payload]}
    if log == "observations":
        said |= {"subject": [SUBJECT], "boot": [DEVICE, BOOT_EPOCH]}
    return [one for column in table.c for one in said.get(column.name, [column])]


def written(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Mapping[str, Any]]:
    """The rows of a query of ``as_found``, with the columns that were written (see ``twin.log.columns``): a fact's id too.

    Raises:
        DBAPIError: a row cannot be read; the connection's transaction goes on.
    """
    with connection.begin_nested():  # PostgreSQL ends a transaction in which a statement failed, but for a part of it
        rows = cast("Iterable[Mapping[str, Any]]", connection.execute(query).mappings().all())
    return [{**row, "id": _id_of(row)} if "ordinal" in row else row for row in rows]


def _id_of(row: Mapping[str, Any]) -> str:
    return fact_id(str(row["site"]), str(row["fold_version"]), row["cause"], row["ordinal"])


def names_in(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """What these facts name by numbers."""
    return {name for row in rows for column in _NAMED_OF_FACTS if (name := row[column]) is not None}


def stored_facts(rows: Iterable[Mapping[str, Any]], numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Facts in their columns as the table holds them."""
    rows = list(rows)
    payloads = packed("facts", [row["payload"] for row in rows])
    return [
        {
            **row,
            **{column: row[column] and numbers[row[column]] for column in _NAMED_OF_FACTS},
            "id_head": id_head(row["id"]),
            "supersedes": packed_ids(row["supersedes"]),
            "payload": payload,
        }
        for row, payload in zip(rows, payloads, strict=True)
    ]


def boots_of(stored: Iterable[Stored]) -> set[Boot]:
    """The boot epochs that these observations are of."""
    return {(key.device, key.boot_epoch) for _, _, event, _ in stored for key in (event.key,)}


def stored_observations(
    stored: Sequence[Stored], numbers: Mapping[str, int], boots: Mapping[Boot, int]
) -> list[tuple[Any, ...]]:
    """Observations in their columns as the table holds them."""
    payloads = packed(
        "observations", [content.payload for _, _, _, content in stored], [event.payload for _, _, event, _ in stored]
    )
    return [
        (
            numbers[event.site], position, recorded_at, event.occurred_at, numbers[content.type],
            AS_DEVICE if content.subject == key.device else content.subject, boots[key.device, key.boot_epoch], key.sequence,
            content.hash, payload,
        )
        for (position, recorded_at, event, content), payload in zip(stored, payloads, strict=True)
        for key in (event.key,)
    ]  # fmt: skip


def recorded_observation(site: SiteId, row: Row[*tuple[Any, ...]]) -> RecordedObservation:
    """The observation of a site in a row of ``OBSERVATION_COLUMNS``."""
    position, recorded_at, occurred_at, name, device, boot_epoch, sequence, stored = row
    key = DeviceKey(device=device, boot_epoch=boot_epoch, sequence=sequence)
    payload = read(stored, name, unpack_observation, observation_in)
    event = ObservationEvent(site=site, key=key, occurred_at=occurred_at, payload=payload)
    return Recorded(position=position, recorded_at=recorded_at, event=event)


def recorded_fact(site: SiteId, row: Row[*tuple[Any, ...]]) -> RecordedFact:
    """The fact of a site in a row of ``FACT_COLUMNS``."""
    position, recorded_at, occurred_at, name, fold_version, cause, ordinal, supersedes, stored = row
    event = FactEvent(
        site=site,
        fold_version=fold_version,
        cause=cause,
        ordinal=ordinal,
        occurred_at=occurred_at,
        payload=read(stored, name, unpack_fact, fact_in),
        supersedes=tuple(EventId(one) for one in supersedes.split(",")) if supersedes else (),
    )
    return Recorded(position=position, recorded_at=recorded_at, event=event)
