"""Raw asyncpg: packed rows, by ``insert … select unnest`` or by ``COPY``, one durable transaction a batch, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from twin.log.sql import schema

from .stopwatch import Stopwatch
from .workload import rows

_TYPES = [column.type.compile(postgresql.dialect()).partition("(")[0] for column in schema.observations.c]
_UNNESTED = ", ".join(f"${place}::{name}[]" for place, name in enumerate(_TYPES, 1))
_INSERT = f"insert into observations select * from unnest({_UNNESTED})"


def is_there() -> bool:
    """Whether asyncpg is installed."""
    try:
        import asyncpg as _  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        return False
    return True


def append_unnested(url: str, n_rows: int, size: int) -> Stopwatch:
    """Insert batches as arrays, one for each column."""

    async def insert(connection: Any, batch: list[tuple[Any, ...]]) -> None:
        await connection.execute(_INSERT, *(list(column) for column in zip(*batch, strict=True)))

    return asyncio.run(_measure(url, n_rows, size, insert))


def append_copied(url: str, n_rows: int, size: int) -> Stopwatch:
    """Insert batches by ``COPY`` in the binary format."""

    async def copy(connection: Any, batch: list[tuple[Any, ...]]) -> None:
        await connection.copy_records_to_table("observations", records=batch)

    return asyncio.run(_measure(url, n_rows, size, copy))


async def _measure(
    url: str, n_rows: int, size: int, insert: Callable[[Any, list[tuple[Any, ...]]], Coroutine[Any, Any, None]]
) -> Stopwatch:
    import asyncpg  # pyright: ignore[reportMissingImports]

    watch, connection = Stopwatch(), await asyncpg.connect(url)
    try:
        await connection.execute(str(CreateTable(schema.observations).compile(dialect=postgresql.dialect())))
        for batch in rows(n_rows, size):
            with watch.running():
                await insert(connection, batch)  # a statement alone is a transaction
    finally:
        await connection.close()
    return watch
