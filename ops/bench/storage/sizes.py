"""Where the bytes of a log's SQLite file are: by table and index, by event type and column, by field of a frame."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
import zstandard

from twin.errors import BadInput
from twin.events.observations import FrameObserved
from twin.log.sql import schema

_pack = msgspec.msgpack.Encoder().encode


def by_table(path: Path) -> dict[str, dict[str, int]]:
    """Bytes of the pages of each table and each of its indexes, beyond the one that an empty one has.

    Raises:
        BadInput: this SQLite cannot tell.
    """
    query = (
        "select m.tbl_name, d.name, sum(d.pgsize), max(d.pgsize) from dbstat d join sqlite_master m on m.name = d.name"
        " group by 1, 2 order by 1"
    )
    tables: dict[str, dict[str, int]] = {}
    with closing(sqlite3.connect(path)) as connection:
        try:
            for table, part, n_bytes, page in connection.execute(query):
                tables.setdefault(table, {})[part] = n_bytes - page
        except sqlite3.OperationalError as wrong:
            raise BadInput(f"this SQLite cannot tell tables apart ({wrong}); use one with DBSTAT_VTAB") from None
    return tables


def in_blocks(path: Path, n_rows: int) -> int:
    """Bytes of the observations' rows, so many at a time packed and compressed."""
    compressor = zstandard.ZstdCompressor(level=3)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("select * from observations order by site, position")
        return sum(len(compressor.compress(_pack(block))) for block in iter(lambda: rows.fetchmany(n_rows), []))


def by_column(path: Path, table: str) -> dict[str, dict[str, int]]:
    """Bytes that each column's values take in the rows of ``observations`` or ``facts``, by event type, with their number."""
    columns = [column.name for column in schema.metadata.tables[table].c]
    sums = ", ".join(f"sum({_stored(f'of.{name}')})" for name in columns)
    query = f"select name, count(*), {sums} from {table} of join names on number = of.type group by 1 order by 1"
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(query).fetchall()
    return {name: {"n": n, **dict(zip(columns, sizes, strict=True))} for name, n, *sizes in rows}


def by_field(frames: Iterable[FrameObserved]) -> Mapping[str, int]:
    """Packed bytes of each field of these frames, with its name; within boxes, of each field of theirs."""
    found: Counter[str] = Counter()
    for frame in frames:
        found.update({name: _field(name, getattr(frame, name)) for name in ("camera", "frame_px", "detector", "clock")})
        found["type"] += _field("type", "frame.observed.v1")
        if frame.unchanged:
            found["unchanged"] += _field("unchanged", frame.unchanged)
        if frame.boxes:
            found["boxes"] += len(_pack("boxes")) + 1
        for box in frame.boxes:
            for name in box.__struct_fields__:
                value = getattr(box, name)
                found[f"boxes.{name}"] += _field(name, value) if name != "truncated" or value else 0
    return found


def _field(name: str, value: object) -> int:
    return len(_pack(name)) + len(_pack(value))


def _stored(column: str) -> str:
    """Bytes of a value in a SQLite record: text and blobs as they are, integers in 0 to 8.

    Source: SQLite's "Database File Format", record format, serial types.
    """
    bounds = ((1, 1 << 7), (2, 1 << 15), (3, 1 << 23), (4, 1 << 31), (6, 1 << 47))
    whens = " ".join(f"when {column} between -{bound} and {bound - 1} then {size}" for size, bound in bounds)
    number = f"case when {column} in (0, 1) then 0 {whens} else 8 end"
    return f"case typeof({column}) when 'null' then 0 when 'integer' then {number} else length(cast({column} as blob)) end"
