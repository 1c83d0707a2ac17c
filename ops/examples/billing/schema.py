"""The book's tables. Versions and lines are only ever added; a line gets its invoice once."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, Table, UniqueConstraint

from twin.inbox import Inbox

metadata = MetaData()
inbox = Inbox("inbox", metadata)

_Key = String(200)

versions = Table(
    "versions",
    metadata,
    Column("session", _Key, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False),  # of the fact, in the twin's log
    Column("fact", _Key, nullable=False),
    Column("status", String(10), nullable=False),
    Column("entry_at", BigInteger),
    Column("exit_at", BigInteger),
    Column("billed_until_at", BigInteger),
    Column("is_doubtful", Boolean, nullable=False),
    Column("is_waived", Boolean, nullable=False),
    Column("tariff", _Key, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("twin_minor", BigInteger),
    Column("paid_minor", BigInteger, nullable=False),
)

lines = Table(
    "lines",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("session", _Key, nullable=False, index=True),
    Column("version", Integer, nullable=False),  # 0 of payments
    Column("revision", Integer, nullable=False),  # a version may be rated again: a code was used
    Column("kind", String(10), nullable=False),  # charge, reversal, payment, transfer, unassigned
    Column("payment", _Key, nullable=False, default=""),
    Column("account", _Key, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("terms", String(300), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("cause", _Key, nullable=False),  # the fact, or what was done here
    Column("invoice", _Key, index=True),  # None: not invoiced yet
    Column("adjusts", _Key),  # the closed invoice that this line corrects
    UniqueConstraint("session", "version", "revision", "kind", "payment"),
)

accounts = Table("accounts", metadata, Column("account", _Key, primary_key=True))
plates = Table(
    "plates",
    metadata,
    Column("plate", String(32), primary_key=True),
    Column("account", _Key, nullable=False),
    Column("list", String(5), nullable=False),  # "", allow, deny
)
permits = Table(
    "permits",
    metadata,
    Column("account", _Key, primary_key=True),
    Column("kind", String(4), primary_key=True),
    Column("from_at", BigInteger, primary_key=True),
    Column("until_at", BigInteger, nullable=False),
    Column("flat_minor", BigInteger, nullable=False),
)
stay_accounts = Table(
    "stay_accounts", metadata, Column("session", _Key, primary_key=True), Column("account", _Key, nullable=False)
)
codes = Table(
    "codes",
    metadata,
    Column("code", String(100), primary_key=True),
    Column("shop", _Key, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("value", Integer, nullable=False),
    Column("session", _Key, unique=True),  # None: not used
)
reviews = Table(
    "reviews",
    metadata,
    Column("session", _Key, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("author", _Key, nullable=False),
    Column("reason", String(1000), nullable=False),
)

terms = Table(  # one row: what the first run was started with
    "terms",
    metadata,
    Column("plan", String(100), primary_key=True),
    Column("digest", String(64), nullable=False),
)

closings = Table(
    "closings",
    metadata,
    Column("period", _Key, primary_key=True),
    Column("until_at", BigInteger, nullable=False, unique=True),
    Column("closed_at", BigInteger, nullable=False),
)
invoices = Table(
    "invoices",
    metadata,
    Column("invoice", _Key, primary_key=True),
    Column("period", _Key, nullable=False),
    Column("account", _Key, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("total_minor", BigInteger, nullable=False),
)
carried = Table(
    "carried",
    metadata,
    Column("period", _Key, primary_key=True),
    Column("session", _Key, primary_key=True),
    Column("account", _Key, nullable=False),
    Column("why", String(10), nullable=False),  # open, held
)
