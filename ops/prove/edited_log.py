"""A small log in a file, of which one byte is changed by somebody who may write the file."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twin.errors import DamagedLog
from twin.events.envelope import FactEvent
from twin.events.facts import StallChanged
from twin.events.ids import StallId
from twin.log.port import FoldCommit
from twin.log.sql import SqlLog, transaction
from twin.log.sql.packing import unpacked
from twin.log.sql.verify import verify

from .workload import SITE, observation

_OBSERVATIONS, _FACTS, _MARK_EVERY = 47, 23, 10
_COLUMNS = {
    "observations": "recorded_at occurred_at type subject boot sequence content_hash payload",
    "facts": "recorded_at occurred_at type subject id_head fold_version cause ordinal supersedes payload",
    "heads": "observations facts observations_content observations_times facts_content facts_times",
    "names": "number name",
    "boots": "number device boot_epoch",
    "supersessions": "position by_position",
    "fact_batches": "digest",
    "chain_marks": "content times",
}
_KEYS = {"names": "number", "boots": "number", "observations": "position", "facts": "position", "supersessions": "position"}


class EditedLog:
    """The log, whole but for the one edit that ``refuted`` makes and takes back."""

    def __init__(self, path: Path, log: SqlLog) -> None:
        self._path = path
        self._log = log

    async def refuted(self, seed: int, *, only: tuple[str, str] | None = None) -> str | None:
        """What was edited and not noticed, or None.

        Args:
            only: a table and a column; None: any.
        """
        draw = random.Random(f"edit {seed}")
        while True:
            table = only[0] if only else draw.choice(sorted(_COLUMNS))
            column = only[1] if only else draw.choice(_COLUMNS[table].split())
            key = _KEYS.get(table, "rowid")
            with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                row = draw.choice([one for (one,) in connection.execute(f"select {key} from {table} order by 1")])
                (before,) = connection.execute(f"select {column} from {table} where {key} = ?", (row,)).fetchone()
                after = _changed(before, draw)
                if column == "payload" and _is_same(before, after):
                    continue  # a bit of the packing that means nothing: the event is what it was
                update = f"update {table} set {column} = ? where {key} = ?"
                try:
                    connection.execute(update, (after, row))
                except sqlite3.IntegrityError:
                    continue  # the database itself refuses a key that is there already
                try:
                    faults = (await self._log.read(verify, SITE, None)).faults
                finally:
                    connection.execute(update, (before, after if column == key else row))
            return None if faults else f"{column} of {table}, row {row}: {before!r} became {after!r}, and nobody noticed"


@asynccontextmanager
async def edited_log(folder: Path) -> AsyncIterator[EditedLog]:
    """Make it: 47 observations and 23 facts, with a mark after each tenth."""
    path = folder / "log.db"
    with patch.object(transaction, "MARK_EVERY", _MARK_EVERY):
        await _write(path)
    log = SqlLog.open(path, read_only=True)
    try:
        yield EditedLog(path, log)
    finally:
        await log.aclose()


async def _write(path: Path) -> None:
    log = SqlLog.open(path)
    try:
        for sequence in range(1, _OBSERVATIONS + 1):
            await log.append([observation(1, sequence)])
        token = await log.acquire(SITE, "proof")
        facts = list[FactEvent]()
        for cause in range(1, _FACTS + 1):
            facts.append(_fact(cause, (facts[4].id,) if cause == _FACTS else ()))
            await log.commit(FoldCommit(token=token, after=cause - 1, cursor=cause, facts=(facts[-1],)))
    finally:
        await log.aclose()


def _fact(cause: int, supersedes: Any) -> FactEvent:
    payload = StallChanged(stall=StallId(f"a{cause}"), state="free")
    return FactEvent(
        site=SITE, fold_version="1", cause=cause, ordinal=0, occurred_at=cause * 1_000, payload=payload, supersedes=supersedes
    )


def _is_same(before: bytes, after: bytes) -> bool:
    with suppress(DamagedLog):
        return unpacked(before) == unpacked(after)
    return False


def _changed(value: Any, draw: random.Random) -> Any:
    """One byte of it changed, or one put in where it is empty."""
    if value is None or value in ("", b""):
        return b"x" if value == b"" else "x"
    if isinstance(value, int):
        return value ^ (1 << draw.randint(0, 40))
    at = draw.randrange(len(value))
    if isinstance(value, str):
        return value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    return value[:at] + bytes([value[at] ^ (1 << draw.randrange(8))]) + value[at + 1 :]
