"""The receiver's tables: what came, what it was worth, and the secrets that it may be signed with."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table

from twin.inbox import Inbox

metadata = MetaData()
inbox = Inbox("inbox", metadata)

_Key = String(200)

events = Table(  # in the order in which they came first
    "events",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("id", _Key, nullable=False, unique=True),
    Column("type", _Key, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("body", String, nullable=False),
    Column("n_copies", Integer, nullable=False, default=0),  # that came after it
)

stays = Table(
    "stays",
    metadata,
    Column("session", _Key, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("status", String(10), nullable=False),
    Column("entry_at", BigInteger),
    Column("exit_at", BigInteger),
    Column("n_facts", Integer, nullable=False),  # that told of it: each once
    Column("position", BigInteger, nullable=False),  # of the version
)

secrets = Table(
    "secrets",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("webhook", _Key, nullable=False),
    Column("secret", String(200)),  # None: asked for, and the answer is not stored
    Column("until_at", BigInteger),  # None: it is the newest
)
