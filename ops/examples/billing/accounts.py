"""Accounts, plates, permits and codes, from CSV files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from ops.examples.billing.schema import accounts, codes, permits, plates
from ops.examples.plate import plain
from twin.errors import BadInput, CodecError
from twin.events.codec import micros

ACCOUNT_COLUMNS = ("account", "plate", "list", "permit", "from", "until", "flat_minor")
CODE_COLUMNS = ("code", "shop", "kind", "value")
_FOREVER = 2**62


def import_accounts(connection: Connection, path: Path) -> int:
    """Add a file's accounts, or change those that are there: a line is a plate, a permit, or both. Gives how many lines.

    Raises:
        BadInput: a line is wrong, or the file cannot be read; nothing of it is taken.
    """
    return _each(path, ACCOUNT_COLUMNS, lambda row: _account(connection, row))


def import_codes(connection: Connection, path: Path) -> int:
    """Add a file's validation codes; one that is there stays as it is. Raises as ``import_accounts``."""
    return _each(path, CODE_COLUMNS, lambda row: _code(connection, row))


def lists(connection: Connection) -> dict[str, list[str]]:
    """Plates on the allow and the deny list, for the entry system."""
    found = connection.execute(select(plates).where(plates.c.list != "").order_by(plates.c.plate)).all()
    return {name: [row.plate for row in found if row.list == name] for name in ("allow", "deny")}


def _account(connection: Connection, row: Mapping[str, str]) -> None:
    name = row["account"]
    if not name:
        raise ValueError("the account is missing")
    if connection.execute(select(accounts).where(accounts.c.account == name)).first() is None:
        connection.execute(accounts.insert().values(account=name))
    if row["list"] not in ("", "allow", "deny"):
        raise ValueError(f"list is '{row['list']}'; give allow, deny, or nothing")
    if plate := plain(row["plate"]):
        connection.execute(plates.delete().where(plates.c.plate == plate))
        connection.execute(plates.insert().values(plate=plate, account=name, list=row["list"]))
    if row["permit"]:
        _permit(connection, name, row)


def _permit(connection: Connection, account: str, row: Mapping[str, str]) -> None:
    if row["permit"] not in ("free", "flat"):
        raise ValueError(f"permit is '{row['permit']}'; give free, flat, or nothing")
    from_at = micros(row["from"]) if row["from"] else 0
    until_at = micros(row["until"]) if row["until"] else _FOREVER
    flat_minor = msgspec.convert(row["flat_minor"] or "0", int, strict=False)
    if until_at <= from_at or flat_minor < 0 or (row["permit"] == "flat") != bool(row["flat_minor"]):
        raise ValueError("a permit ends after it begins, and a flat one alone has flat_minor, of at least 0")
    key = {"account": account, "kind": row["permit"], "from_at": from_at}
    connection.execute(permits.delete().filter_by(**key))
    connection.execute(permits.insert().values(**key, until_at=until_at, flat_minor=flat_minor))


def _code(connection: Connection, row: Mapping[str, str]) -> None:
    value = msgspec.convert(row["value"], int, strict=False)
    if not row["code"] or row["kind"] not in ("minutes", "percent") or not 1 <= value <= 100_000:
        raise ValueError("a code has a name, a kind (minutes or percent) and a value of at least 1")
    if row["kind"] == "percent" and value > 100:
        raise ValueError(f"{value} percent is more than all")
    if connection.execute(select(codes).where(codes.c.code == row["code"])).first() is None:
        connection.execute(codes.insert().values(**{**row, "value": value}))


def _each(path: Path, columns: tuple[str, ...], take: Callable[[Mapping[str, str]], None]) -> int:
    n_rows = 0
    for number, row in _rows(path, columns):
        try:
            take(row)
        except (ValueError, msgspec.ValidationError, CodecError) as wrong:
            raise BadInput(f"'{path}', line {number}: {wrong}") from None
        n_rows += 1
    return n_rows


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restval="")
            if unknown := sorted(set(reader.fieldnames or ()) - set(columns)):
                raise BadInput(f"'{path}' has columns {unknown}; known are {', '.join(columns)}")
            for row in reader:
                yield reader.line_num, {name: (row.get(name) or "").strip() for name in columns}
    except (OSError, UnicodeDecodeError) as wrong:
        raise BadInput(f"'{path}' cannot be read: {wrong}; give a CSV file in UTF-8") from None
