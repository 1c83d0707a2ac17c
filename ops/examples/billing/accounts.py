"""Accounts, plates, permits and codes, from CSV files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Connection, select

from ops.examples.billing.book import Book
from ops.examples.billing.schema import accounts, codes, permits, plates
from ops.examples.plate import plain
from twin.errors import BadInput, CodecError
from twin.events.codec import micros, rfc3339
from twin.events.ids import Micros

ACCOUNT_COLUMNS = ("account", "plate", "list", "permit", "from", "until", "flat_minor")
CODE_COLUMNS = ("code", "shop", "kind", "value")
_FOREVER = 2**62


def import_accounts(connection: Connection, path: Path, book: Book) -> int:
    """Add a file's accounts, or change those that are there: a line is a plate, a permit, or both. Gives how many lines.

    Stays of an account whose permits the file has are rated anew by the book; one that costs what it did is left alone.

    Raises:
        BadInput: a line is wrong or says otherwise than another, or the file cannot be read; nothing of it is taken.
    """
    rows, said = _rows(path, ACCOUNT_COLUMNS), _Said()
    _each(path, rows, lambda number, row: _account(connection, number, row, said))
    if entitled := {row["account"] for _, row in rows if row["permit"]}:
        book.rate_again(connection, entitled, "permits")
    return len(rows)


def import_codes(connection: Connection, path: Path) -> int:
    """Add a file's validation codes; one that is there stays as it is. Raises as ``import_accounts``."""
    rows = _rows(path, CODE_COLUMNS)
    _each(path, rows, lambda _, row: _code(connection, row))
    return len(rows)


def lists(connection: Connection) -> dict[str, list[str]]:
    """Plates on the allow and the deny list, for the entry system."""
    found = connection.execute(select(plates).where(plates.c.list != "").order_by(plates.c.plate)).all()
    return {name: [row.plate for row in found if row.list == name] for name in ("allow", "deny")}


class _Said:
    """What the lines of a file have said so far: of two that say different things of one, only the last would count."""

    def __init__(self) -> None:
        self._by_what: dict[str, tuple[int, str]] = {}

    def note(self, number: int, what: str, value: str) -> None:
        """Raises ValueError: an earlier line says something else of it."""
        first, before = self._by_what.setdefault(what, (number, value))
        if before != value:
            raise ValueError(f"{what} is {value} here, and {before} in line {first}; keep one of these lines")


def _account(connection: Connection, number: int, row: Mapping[str, str], said: _Said) -> None:
    name = row["account"]
    if not name:
        raise ValueError("the account is missing")
    if ";" in name:
        raise ValueError(f"account '{name}' has a ';' in its name; separate the fields as the first line does")
    if connection.execute(select(accounts).where(accounts.c.account == name)).first() is None:
        connection.execute(accounts.insert().values(account=name))
    if row["list"] not in ("", "allow", "deny"):
        raise ValueError(f"list is '{row['list']}'; give allow, deny, or nothing")
    plate = plain(row["plate"])
    if row["plate"] and not plate:
        raise ValueError(f"plate '{row['plate']}' has no letter or digit")
    if plate:
        said.note(number, f"plate '{plate}'", f"account '{name}', list '{row['list']}'")
        connection.execute(plates.delete().where(plates.c.plate == plate))
        connection.execute(plates.insert().values(plate=plate, account=name, list=row["list"]))
    if row["permit"]:
        _permit(connection, number, row, said)


def _permit(connection: Connection, number: int, row: Mapping[str, str], said: _Said) -> None:
    if row["permit"] not in ("free", "flat"):
        raise ValueError(f"permit is '{row['permit']}'; give free, flat, or nothing")
    from_at = micros(row["from"]) if row["from"] else 0
    until_at = micros(row["until"]) if row["until"] else _FOREVER
    flat_minor = msgspec.convert(row["flat_minor"] or "0", int, strict=False)
    if until_at <= from_at or flat_minor < 0 or (row["permit"] == "flat") != bool(row["flat_minor"]):
        raise ValueError("a permit ends after it begins, and a flat one alone has flat_minor, of at least 0")
    account, kind = row["account"], row["permit"]
    what = f"the {kind} permit of '{account}' from {_told(from_at, 'the beginning')}"
    said.note(number, what, f"until {_told(until_at, 'further notice')}, flat_minor {flat_minor}")
    key = {"account": account, "kind": kind, "from_at": from_at}
    connection.execute(permits.delete().filter_by(**key))
    connection.execute(permits.insert().values(**key, until_at=until_at, flat_minor=flat_minor))


def _told(at: Micros, unbounded: str) -> str:
    return unbounded if at in (0, _FOREVER) else rfc3339(at)


def _code(connection: Connection, row: Mapping[str, str]) -> None:
    value = msgspec.convert(row["value"], int, strict=False)
    if not row["code"] or row["kind"] not in ("minutes", "percent") or not 1 <= value <= 100_000:
        raise ValueError("a code has a name, a kind (minutes or percent) and a value of at least 1")
    if row["kind"] == "percent" and value > 100:
        raise ValueError(f"{value} percent is more than all")
    if connection.execute(select(codes).where(codes.c.code == row["code"])).first() is None:
        connection.execute(codes.insert().values(**{**row, "value": value}))


def _each(path: Path, rows: Sequence[tuple[int, Mapping[str, str]]], take: Callable[[int, Mapping[str, str]], None]) -> None:
    for number, row in rows:
        try:
            take(number, row)
        except (ValueError, msgspec.ValidationError, CodecError) as wrong:
            raise BadInput(f"'{path}', line {number}: {wrong}") from None


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """A file's lines with their numbers; fields are separated by commas, or by semicolons where the first line has no comma."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin UTF-8 with a byte order mark
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=";" if ";" in first and "," not in first else ",")
            header = [name.strip() for name in next(reader, [])]
            if unknown := sorted(set(header) - set(columns)):
                raise BadInput(f"'{path}' has columns {unknown}; known are {', '.join(columns)}")
            if columns[0] not in header or len(set(header)) != len(header):
                raise BadInput(f"'{path}' begins with {header}; give column {columns[0]}, and each column once")
            found: list[tuple[int, dict[str, str]]] = []
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise BadInput(
                        f"'{path}', line {reader.line_num}: {len(fields)} fields, where the first line has {len(header)}; "
                        "separate all lines as the first one, and leave fields empty rather than out"
                    )
                given = dict(zip(header, (one.strip() for one in fields), strict=True))
                found.append((reader.line_num, {name: given.get(name, "") for name in columns}))
    except (OSError, UnicodeDecodeError, csv.Error) as wrong:
        raise BadInput(f"'{path}' cannot be read: {wrong}; give a CSV file in UTF-8") from None
    return found
