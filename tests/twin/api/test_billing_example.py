"""The billing example against a running service: it follows the log, and its reconciliation finds what its book has wrong."""

import asyncio
from contextlib import asynccontextmanager

import httpx2
import pytest
from msgspec.structs import replace
from sqlalchemy import create_engine, delete, insert, select, update
from typer.testing import CliRunner

from ops.examples.billing import schema
from ops.examples.billing.book import Book
from ops.examples.billing.cli import app as commands
from ops.examples.billing.follow import follow
from ops.examples.billing.plan import Plan
from ops.examples.billing.reconcile import must_have_all, read_twin, reconciled
from ops.examples.billing.stay import TYPES
from ops.examples.billing.terms import keep_plan
from ops.examples.database import opened
from twin.errors import BadInput
from twin.events.facts import PaymentBooked, SessionAmended

PRICED = {"tariff": "public@1", "currency": "EUR", "amount_minor": 200}


@pytest.fixture
def stays(story):
    """One that was corrected and paid, one that is open, one that was none, and an exit without an entry."""
    closed = replace(story.closed("p1", exit=3601.0), **PRICED, final_at=story.noon)
    amended = SessionAmended(
        session="p1",
        vehicle="v1",
        version=3,
        status="closed",
        was="closed",
        reason="late_data",
        entry_at=closed.entry_at,
        exit_at=closed.exit_at + 1_800_000_000,
        final_at=story.noon,
        **{**PRICED, "amount_minor": 300},
    )
    paid = PaymentBooked(
        payment="till-1",
        session="p1",
        fate="credited",
        amount_minor=300,
        currency="EUR",
        paid_at=story.noon,
        paid_minor=300,
        observation="o1",
    )
    none = SessionAmended(
        session="p3", vehicle="v3", version=2, status="void", was="open", reason="identities_merged", entry_at=story.noon
    )
    facts = (
        *(replace(story.opened(name, vehicle), tariff="public@1") for name, vehicle in (("p1", "v1"), ("p2", "v2"))),
        *(closed, amended, paid, story.orphaned(), story.opened("p3", "v3"), none),
    )
    return story.events(*facts)


@pytest.fixture
def engine(tmp_path):
    made = opened(f"sqlite:///{tmp_path / 'bills.db'}", schema.metadata)
    yield made
    made.dispose()


@asynccontextmanager
async def followed(url, engine, book, n_versions):
    """The book follows until it has so many versions of stays, and on."""
    following = asyncio.create_task(follow(url, "lot", engine, book, subscription="billing", consumer="b1"))
    try:
        async with asyncio.timeout(20):
            while n_versions_in(engine) < n_versions:
                assert not following.done()
                await asyncio.sleep(0.01)
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def n_versions_in(engine):
    with engine.begin() as connection:
        return len(connection.execute(select(schema.versions)).all())


async def report_of(url, engine, book):
    async with httpx2.AsyncClient() as http:
        twin = await read_twin(http, f"{url}/v1/sites/lot", "billing", None)
    with engine.begin() as connection:
        return reconciled(connection, book, "lot", twin)


@pytest.fixture
async def running(serve, listen, stays, engine):
    """(address, engine, book) of a book that has entered all."""
    book = Book()
    async with serve(stays) as served, listen(served.app) as address:
        url = f"http://{address}"
        async with followed(url, engine, book, n_versions=7):
            yield url, engine, book


async def until_equal(url, engine, book):
    async with asyncio.timeout(20):
        while True:
            report = await report_of(url, engine, book)
            if report.n_stays == 4:
                return report
            await asyncio.sleep(0.02)


async def test_a_book_that_followed_is_what_the_twin_says(running):
    report = await until_equal(*running)
    assert report.findings == ()
    assert (report.charged_minor, report.received_minor) == ({"EUR": 300}, {"EUR": 300})


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (delete(schema.versions).where(schema.versions.c.session == "p2"), ("missing", "p2")),
        (delete(schema.lines).where(schema.lines.c.payment == "till-1"), ("different", "p1")),
        (delete(schema.lines).where(schema.lines.c.kind == "reversal"), ("doubled", "p1")),
        (update(schema.lines).where(schema.lines.c.version == 3).values(amount_minor=301), ("different", "p1")),
        (update(schema.versions).where(schema.versions.c.version == 3).values(exit_at=0), ("different", "p1")),
        (
            insert(schema.versions).from_select(
                [one.name for one in schema.versions.c],
                select(
                    *[
                        schema.versions.c[one.name] if one.name != "session" else (schema.versions.c.session + "x")
                        for one in schema.versions.c
                    ]
                ).where(schema.versions.c.session == "p2"),
            ),
            ("unknown", "p2x"),
        ),
    ],
    ids=["stay", "payment", "reversal", "amount", "exit", "stay of nobody"],
)
async def test_what_is_wrong_in_a_book_is_found(running, damage, found):
    await until_equal(*running)
    _, engine, _ = running
    with engine.begin() as connection:
        connection.execute(damage)
    report = await report_of(*running)
    assert found in [(one.kind, one.session) for one in report.findings]
    assert f"{found[0]}: {found[1]}" in report.text()


async def test_a_plan_of_our_own_counts_from_entry_and_exit(serve, listen, stays, engine):
    book = Book(Plan(name="p@1", currency="EUR", step_minutes=30, price_minor=50))
    async with (
        serve(stays) as served,
        listen(served.app) as address,
        followed(f"http://{address}", engine, book, n_versions=7),
    ):
        report = await until_equal(f"http://{address}", engine, book)
    assert report.findings == ()
    assert report.charged_minor == {"EUR": 150}  # an hour and a half


async def test_a_position_that_the_book_has_not_reached_is_refused(running):
    url, *_ = running
    async with httpx2.AsyncClient() as http:
        with pytest.raises(BadInput, match="cannot be compared at 1000"):
            await read_twin(http, f"{url}/v1/sites/lot", "billing", 1000)


async def test_a_period_is_closed_beyond_the_last_exit_where_the_twin_says_that_the_book_has_all(running):
    url, engine, _ = running
    ended = ["invoice", "close", "--period", "p", "--until", "2026-02-01T00:00:00Z", "--database", str(engine.url), "--json"]
    asking = [*ended, "--site", "lot", "--url", url]
    assert "ends at 2026-02-01" in str((await asyncio.to_thread(CliRunner().invoke, commands, ended)).exception)
    async with asyncio.timeout(20):
        while (told := await asyncio.to_thread(CliRunner().invoke, commands, asking)).exit_code:
            assert "a fact waits" in str(told.exception), "not acknowledged yet"
    assert '"invoice":"p/casual/EUR"' in told.output


async def test_a_period_is_not_closed_while_the_twin_has_facts_that_the_book_has_not(running):
    url, *_ = running
    async with httpx2.AsyncClient() as http:
        assert (await http.put(f"{url}/v1/sites/lot/subscriptions/slow", json={"types": list(TYPES), "after": "0"})).is_success
        with pytest.raises(BadInput, match=r"at position 0 of 8, and a fact waits"):
            await must_have_all(http, f"{url}/v1/sites/lot", "slow")


def test_commands_say_what_is_wrong_and_exit(tmp_path):
    database, run = f"sqlite:///{tmp_path / 'b.db'}", CliRunner().invoke
    accounts = tmp_path / "accounts.csv"
    accounts.write_text("account,plate,list\nflower shop,A1,allow\n")
    assert run(commands, ["accounts", "import", str(accounts), "--database", database]).output == "1 lines\n"
    assert run(commands, ["accounts", "lists", "--database", database]).output == '{"allow":["A1"],"deny":[]}\n'
    closing = ["invoice", "close", "--period", "day", "--database", database]
    ended = [*closing, "--until", "2026-01-02T00:00:00Z"]
    assert "knows of no stay yet" in str(run(commands, ended).exception)
    assert "cannot be reached" in str(run(commands, [*ended, "--site", "lot", "--url", "http://127.0.0.1:9"]).exception)
    assert "in the future" in str(run(commands, [*closing, "--until", "2162-01-01T00:00:00Z"]).exception)
    assert isinstance(run(commands, [*closing, "--until", "tomorrow"]).exception, BadInput)
    asking = ["reconcile", "--site", "lot", "--url", "http://127.0.0.1:9", "--database", database]
    assert "has no plan yet" in str(run(commands, asking).exception)
    engine = create_engine(database)
    with engine.begin() as connection:
        keep_plan(connection, None)
    assert "cannot be reached" in str(run(commands, asking).exception)
    with engine.begin() as connection:
        assert connection.execute(select(schema.closings)).all() == []
    engine.dispose()
