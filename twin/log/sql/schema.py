"""The tables. ``migrations/`` builds the same; a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint

from twin.log.sql.fact_ids import FactIds
from twin.log.sql.names import Named
from twin.log.sql.packing import Payload

metadata = MetaData()


def _number(name: str, **more: int) -> Column[int]:
    return Column(name, BigInteger, nullable=False, **more)  # pyright: ignore[reportArgumentType]


names = Table(
    "names",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String(255), nullable=False),
    UniqueConstraint("name", name="names_name"),
)
"""What numbers in ``observations`` and ``facts`` stand for; see ``twin.log.sql.names``."""

boots = Table(
    "boots",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("device", Named, nullable=False),
    _number("boot_epoch"),
    UniqueConstraint("device", "boot_epoch", name="boots_device"),
)
"""What ``observations.boot`` stands for; see ``twin.log.sql.boots``."""

heads = Table(
    "heads",
    metadata,
    Column("site", String(255), primary_key=True),
    _number("observations"),
    _number("facts"),
    _number("cursor"),
    _number("token"),
    Column("worker", Text, nullable=False),
    _number("observations_recorded_at"),
    _number("facts_recorded_at"),
    *[
        Column(f"{log}_{part}", LargeBinary(32), nullable=False)
        for log in ("observations", "facts")
        for part in ("content", "times")
    ],
    _number("kept"),
    _number("kept_recorded_at"),
    Column("kept_content", LargeBinary(32), nullable=False),
    Column("kept_times", LargeBinary(32), nullable=False),
    _number("observations_cut"),
    _number("facts_cut"),
)
"""One row a site, locked to commit: positions are handed out under it.

The last columns are the hash chains' heads, the third over the facts that are kept for good, and up to where retention cut.
"""

cuts = Table(
    "cuts",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("log", String(12), nullable=False),
    _number("position"),
    _number("made_at"),
    _number("recorded_at"),
    _number("at"),
    Column("content", LargeBinary(32), nullable=False),
    Column("times", LargeBinary(32), nullable=False),
    Column("body_hash", LargeBinary(32), nullable=False),
    Column("body", LargeBinary),  # NULL: a later cut of this log is complete
    Column("digest", LargeBinary(32), nullable=False),
    Column("is_swept", Integer, nullable=False),  # 0: not all that is cut is deleted yet
)
"""What retention cut, and what stands for it; see ``twin.log.cuts``."""

chain_marks = Table(
    "chain_marks",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("log", String(12), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("content", LargeBinary(32), nullable=False),
    Column("times", LargeBinary(32), nullable=False),
)
"""The chains' links at every thousandth event or so: they tell where a log was damaged, and what of it is whole."""

observations = Table(
    "observations",
    metadata,
    Column("site", Named, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    _number("recorded_at"),
    _number("occurred_at"),
    Column("type", Named, nullable=False),
    Column("subject", String(255)),  # empty: the device's own name, as of most; not numbered, since most others come once
    Column("boot", Integer, nullable=False),
    _number("sequence"),
    Column("content_hash", LargeBinary(16), nullable=False),
    Column("payload", Payload("observations"), nullable=False),
    UniqueConstraint("site", "boot", "sequence", name="observations_device_key"),
)

refusals = Table(
    "refusals",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("device", String(255), primary_key=True),
    Column("boot_epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    _number("position"),
    Column("content_hash", LargeBinary(16), nullable=False),
    _number("refused_at"),
    _number("n_refused"),
)
"""Device keys that came again with other content: hash and time, never the payload."""

facts = Table(
    "facts",
    metadata,
    Column("site", Named, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    _number("recorded_at"),
    _number("occurred_at"),
    Column("type", Named, nullable=False),
    Column("subject", Named),
    Column("id_head", Integer, nullable=False),  # the beginning of its id, which its cause and ordinal give
    Column("fold_version", Named, nullable=False),
    _number("cause"),
    Column("ordinal", Integer, nullable=False),
    Column("supersedes", FactIds, nullable=False),  # in the event's order
    Column("payload", Payload("facts"), nullable=False),
    Index("facts_by_id", "site", "id_head"),
    Index("facts_by_time", "site", "occurred_at", "position"),
    Index("facts_by_subject", "site", "subject", "occurred_at"),
    Index("facts_by_type", "site", "type", "occurred_at"),
)

fact_batches = Table(
    "fact_batches",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    _number("cursor"),
    Column("digest", LargeBinary(32), nullable=False),
)
"""By the last fact of each commit of the fold: where its cursor stood, and the observations' chain there."""

stream_places = Table(
    "stream_places",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", String(255), nullable=False),
    Column("partition", Integer, nullable=False),
    _number("next_offset"),
    _number("recorded_at"),
    Column("content", LargeBinary(32), nullable=False),
    Column("times", LargeBinary(32), nullable=False),
    Column("devices", LargeBinary, nullable=False),
)
"""Where a site's observations are kept in a broker: positions, offsets, the chain and the devices' marks there.

The first is where the site's observations left this database, the last is the fold's cursor.
"""

supersessions = Table(
    "supersessions",
    metadata,
    Column("site", Named, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("by_position", BigInteger, primary_key=True, autoincrement=False),
    Index("supersessions_by_position", "site", "by_position"),
    sqlite_with_rowid=False,
)
"""Which facts are corrected by which: what ``facts.supersedes`` says, by positions."""

snapshots = Table(
    "snapshots",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("kind", String(255), primary_key=True),
    Column("version", String(255), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("key_id", String(255), primary_key=True),
    Column("key", LargeBinary(64)),  # NULL: destroyed
    _number("made_at"),
    Column("destroyed_at", BigInteger),
    sqlite_with_rowid=False,
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("filter", Text, nullable=False),  # JSON
    Column("most_attempts", Integer, nullable=False),
    _number("created_at"),
    _number("read_to"),
    Column("replay_until", BigInteger),  # both NULL: no replay
    Column("replay_resume", BigInteger),
    _number("n_leases"),
    _number("n_acknowledged"),
    _number("n_discarded"),
    Column("pauses_s", Text),  # JSON; NULL: doubling ones
    Column("owner", Text),  # NULL: nobody's in particular
    Column("paused_at", BigInteger),  # NULL: it is not
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("subscription", String(255), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("order", String(255), nullable=False),
    Column("state", String(12), nullable=False),
    Column("n_attempts", Integer, nullable=False),
    _number("lease"),
    Column("holder", String(255), nullable=False),
    _number("until"),
    Column("reason", Text, nullable=False),
)
"""What subscriptions have not acknowledged; facts between a subscription's ``read_to`` and here are done."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("url", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("reason", Text, nullable=False),
    _number("created_at"),
    _number("held_until"),
    _number("n_attempts"),
    Column("secrets", LargeBinary, nullable=False),  # msgpack; sealed
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("site", String(255), primary_key=True),
    Column("webhook", String(255), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _number("position"),
    Column("event_id", String(255), nullable=False),
    Column("n_attempts", Integer, nullable=False),
    _number("at"),
    Column("outcome", String(12), nullable=False),
    Column("status", Integer),
    Column("error", Text, nullable=False),
    _number("duration_us"),
    Column("next_at", BigInteger),
)
"""The last attempts of each webhook."""
