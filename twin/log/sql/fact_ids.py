"""Ids of facts as they are stored: of a fact itself none, as its cause gives it; of each that it supersedes, sixteen bytes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

ID_BYTES = 16


def id_head(fact_id: str) -> int:
    """The first 32 bits of an id, signed, by which facts are looked up; others may have the same, and their ids tell."""
    return int.from_bytes(bytes.fromhex(fact_id[:8]), "big", signed=True)


def packed_ids(joined: str) -> bytes:
    """Ids that commas join."""
    return bytes.fromhex(joined.replace(",", ""))


def joined_ids(packed: bytes) -> str:
    """The reverse of ``packed_ids``."""
    return ",".join(packed[start : start + ID_BYTES].hex() for start in range(0, len(packed), ID_BYTES)) if packed else ""


class FactIds(TypeDecorator[str]):
    """A column of ids of facts: commas join them here, and nothing where they are stored."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """See ``packed_ids``."""
        return None if value is None else packed_ids(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """See ``joined_ids``; what is no bytes comes as the id of no fact, for those who check it."""
        return joined_ids(value) if isinstance(value, bytes) else str(value).encode().hex()
