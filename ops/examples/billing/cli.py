"""The commands of the billing example."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx2
import msgspec
import typer
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ops.examples.billing import accounts as account_files
from ops.examples.billing.book import Book
from ops.examples.billing.follow import follow
from ops.examples.billing.invoices import Invoice, close, of_period
from ops.examples.billing.plan import Plan
from ops.examples.billing.reconcile import Twin, must_have_all, read_twin, reconciled
from ops.examples.billing.schema import metadata
from ops.examples.billing.terms import check_plan, check_plan_of_stays, keep_plan
from ops.examples.database import opened
from ops.examples.service import headers, site_address
from twin.errors import BadInput, TwinError
from twin.events.codec import micros

app = typer.Typer(help="Billing beside the twin.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
invoice_app = typer.Typer(help="Invoices.", no_args_is_help=True)
accounts_app = typer.Typer(help="Accounts, plates, permits and lists.", no_args_is_help=True)
codes_app = typer.Typer(help="What shops validate stays with.", no_args_is_help=True)
app.add_typer(invoice_app, name="invoice")
app.add_typer(accounts_app, name="accounts")
app.add_typer(codes_app, name="codes")

Url = Annotated[str, typer.Option("--url", help="Address of the twin's service.")]
Site = Annotated[str, typer.Option("--site", help="Name of the site.")]
Database = Annotated[str, typer.Option("--database", help="The book; it is made where there is none.")]
Tariff = Annotated[str, typer.Option("--tariff", help="twin: its own amounts; or a TOML file with a plan. As `run` had it.")]
Name = Annotated[str, typer.Option("--subscription", help="Name of the durable subscription.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_URL, _DATABASE, _NAME = "http://127.0.0.1:8600", "sqlite:///bills.db", "billing"


@app.command()
def run(
    site: Site, url: Url = _URL, database: Database = _DATABASE, tariff: Tariff = "twin", subscription: Name = _NAME
) -> None:
    """Follow the twin until stopped; it may be killed at any moment."""
    plan = read_plan(tariff)
    with _book(database) as engine, suppress(KeyboardInterrupt):
        with engine.begin() as connection:
            keep_plan(connection, plan)
        asyncio.run(follow(url, site, engine, Book(plan), subscription=subscription, consumer=f"{subscription}-1"))


@app.command()
def reconcile(
    site: Site,
    url: Url = _URL,
    database: Database = _DATABASE,
    tariff: Tariff = "twin",
    subscription: Name = _NAME,
    position: Annotated[int | None, typer.Option("--position", min=0, help="Absent: as far as the book is.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the book with the twin, both as of one position; exits 1 if they differ. Run it every day."""

    async def ask() -> Twin:
        async with httpx2.AsyncClient(timeout=60.0, headers=headers()) as http:
            return await read_twin(http, site_address(url, site), subscription, position)

    plan = read_plan(tariff)
    with _book(database) as engine:
        with engine.begin() as connection:
            check_plan(connection, plan)
        told = asyncio.run(ask())
        with engine.begin() as connection:
            report = reconciled(connection, Book(plan), site, told)
    if as_json:
        counts = {kind: report.count(kind) for kind in ("missing", "unknown", "doubled", "different")}
        typer.echo(msgspec.json.encode({**msgspec.to_builtins(report), **counts, "is_equal": report.is_equal}).decode())
    else:
        typer.echo(report.text())
    if not report.is_equal:
        raise typer.Exit(1)


@app.command()
def validate(
    session: Annotated[str, typer.Argument()],
    code: Annotated[str, typer.Option("--code", help="A shop's code; it is used once.")],
    database: Database = _DATABASE,
    tariff: Tariff = "twin",
) -> None:
    """Take a shop's discount off a stay."""
    plan = read_plan(tariff)
    with _book(database) as engine, engine.begin() as connection:
        check_plan(connection, plan)
        Book(plan).validate(connection, code, session)


@app.command()
def review(
    session: Annotated[str, typer.Argument()],
    author: Annotated[str, typer.Option("--author")],
    reason: Annotated[str, typer.Option("--reason")],
    database: Database = _DATABASE,
) -> None:
    """Say that a held stay is right as it is, so that it is invoiced."""
    with _book(database) as engine, engine.begin() as connection:
        Book().review(connection, session, author, reason)


@invoice_app.command("close")
def invoice_close(
    period: Annotated[str, typer.Option("--period", help="Its name, such as 2026-01.")],
    until: Annotated[str, typer.Option("--until", help="RFC 3339: stays that ended by then.")],
    database: Database = _DATABASE,
    site: Annotated[str | None, typer.Option("--site", help="Ask the twin whether the book has all of its facts.")] = None,
    url: Url = _URL,
    subscription: Name = _NAME,
    bill_doubtful: Annotated[bool, typer.Option("--bill-doubtful", help="Do not hold unverified stays for review.")] = False,
    as_json: AsJson = False,
) -> None:
    """Close a period that is over; what changes in it later is an adjustment on the next invoice.

    The book must know of an entry or exit at its end or later; give --site where it was quiet since.
    """
    until_at, now = _time(until), time.time_ns() // 1_000
    if site is not None:
        asyncio.run(_must_have_all(site_address(url, site), subscription))
    with _book(database) as engine, engine.begin() as connection:
        made = close(connection, period, until_at, now, is_caught_up=site is not None, holds_doubtful=not bill_doubtful)
        _print(made, as_json=as_json)


@invoice_app.command("show")
def invoice_show(period: Annotated[str, typer.Argument()], database: Database = _DATABASE, as_json: AsJson = False) -> None:
    """The invoices of a closed period."""
    with _book(database) as engine, engine.begin() as connection:
        _print(of_period(connection, period), as_json=as_json)


@accounts_app.command("import")
def accounts_import(file: Annotated[Path, typer.Argument()], database: Database = _DATABASE, tariff: Tariff = "twin") -> None:
    """Take accounts from a CSV file: account, plate, list (allow, deny), permit (free, flat), from, until, flat_minor.

    Stays of accounts whose permits it has are rated anew.
    """
    plan = read_plan(tariff)
    with _book(database) as engine, engine.begin() as connection:
        check_plan_of_stays(connection, plan)
        typer.echo(f"{account_files.import_accounts(connection, file, Book(plan))} lines")


@accounts_app.command("lists")
def accounts_lists(database: Database = _DATABASE) -> None:
    """The allow and the deny list as JSON, for the entry system."""
    with _book(database) as engine, engine.begin() as connection:
        typer.echo(msgspec.json.encode(account_files.lists(connection)).decode())


@codes_app.command("import")
def codes_import(file: Annotated[Path, typer.Argument()], database: Database = _DATABASE) -> None:
    """Take validation codes from a CSV file: code, shop, kind (minutes, percent), value."""
    with _book(database) as engine, engine.begin() as connection:
        typer.echo(f"{account_files.import_codes(connection, file)} lines")


def read_plan(tariff: str) -> Plan | None:
    """A plan from a TOML file; None: the twin's amounts.

    Raises:
        BadInput: the file cannot be read, or is no plan.
    """
    if tariff == "twin":
        return None
    try:
        plan = msgspec.convert(tomllib.loads(Path(tariff).read_text(encoding="utf-8")), Plan)
        ZoneInfo(plan.time_zone)
    except (OSError, ValueError, ZoneInfoNotFoundError) as wrong:
        raise BadInput(f"'{tariff}' is no plan: {wrong}; see ops/docs/consumers.md") from None
    return plan


@contextmanager
def _book(database: str) -> Iterator[Engine]:
    engine = opened(database, metadata)
    try:
        yield engine
    finally:
        engine.dispose()


async def _must_have_all(address: str, subscription: str) -> None:
    async with httpx2.AsyncClient(timeout=60.0, headers=headers()) as http:
        await must_have_all(http, address, subscription)


def _time(text: str) -> int:
    try:
        return micros(text)
    except ValueError as wrong:
        raise BadInput(f"{wrong}; give for instance 2026-02-01T00:00:00+01:00") from None


def _print(found: list[Invoice], *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    for invoice in found:
        typer.echo(f"{invoice.invoice}: {invoice.total_minor} {invoice.currency}")
        for line in invoice.lines:
            corrects = f", corrects {line.adjusts}" if line.adjusts else ""
            typer.echo(f"  {line.amount_minor:>8} {line.kind} {line.session} {line.terms}{corrects}")
        for session, why in invoice.carried.items():
            typer.echo(f"  carried over: {session} ({why})")


def main() -> None:
    """Run the command; an error raised on purpose is one message, exit 1."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app()
    except TwinError as wrong:
        print(f"billing: {wrong}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    except DBAPIError as wrong:
        print(f"billing: the database does not do this now: {wrong.orig}; try again", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
