"""Names are numbers in the rows of both logs, and a fact's id, which its cause gives, is in none: files shrink to six tenths.

Every row is written anew, in this one transaction and a few thousand at a time; hashes and links cover what the rows say, and
stay. It needs free room of twice the database meanwhile. A SQLite file does not shrink: it keeps the room for what comes next.

Revision: 0008, from 0007.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from twin.errors import DamagedLog
from twin.events.ids import fact_id
from twin.log.sql.fact_ids import id_head, packed_ids

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_CHUNK = 5_000
_OLD = ("observations", "facts", "supersessions")
_FACT_INDEXES = {
    "facts_by_id": ["site", "id_head"],
    "facts_by_time": ["site", "occurred_at", "position"],
    "facts_by_subject": ["site", "subject", "occurred_at"],
    "facts_by_type": ["site", "type", "occurred_at"],
}
_NUMBER_OF = "(select number from names where name = {})"


def upgrade() -> None:
    """Number the names, write the logs and corrections anew, and drop what they were."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if is_sqlite:
        op.execute("pragma secure_delete = on")  # keys are among what is dropped, and may be destroyed one day
    _create_names()
    _set_aside(is_sqlite)
    _create_logs()
    sites = op.get_bind().execute(sa.text("select name, number from names where name in (select site from heads)")).all()
    for name, number in sites:
        given = {"site": name, "number": number}
        _copy_observations(given)
        _copy_facts(given)
    _copy_corrections()
    for table in _OLD:
        op.drop_table(f"{table}_7")
    for name, columns in _FACT_INDEXES.items():
        op.create_index(name, "facts", columns)
    op.create_index("supersessions_by_position", "supersessions", ["site", "by_position"])
    if is_sqlite:
        _rebuild_keys()


def _create_names() -> None:
    op.create_table(
        "names",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.UniqueConstraint("name", name="names_name"),
    )
    columns = {"heads": ("site",), "observations": ("type", "device"), "facts": ("type", "subject", "fold_version")}
    named = [f"select {column} as name from {table}" for table, of in columns.items() for column in of]
    op.execute(
        "insert into names (number, name) select row_number() over (order by name), name"
        f" from ({' union '.join(named)}) as every where name is not null"
    )


def _set_aside(is_sqlite: bool) -> None:
    """Old tables get other names, and their indexes too: both are unique in a database."""
    if is_sqlite:
        for name in ("facts_by_time", "facts_by_subject", "facts_by_type"):
            op.drop_index(name, "facts")
        op.drop_index("supersessions_by_position", "supersessions")
    else:
        indexes = sa.text("select indexname from pg_indexes where schemaname = current_schema() and tablename = any(:tables)")
        for name in op.get_bind().scalars(indexes, {"tables": list(_OLD)}).all():
            op.execute(f'alter index "{name}" rename to "{name}_7"')
    for table in _OLD:
        op.rename_table(table, f"{table}_7")


def _create_logs() -> None:
    def number(name: str) -> sa.Column[int]:
        return sa.Column(name, sa.BigInteger, nullable=False)

    def key() -> tuple[sa.Column[int], sa.Column[int]]:
        return (
            sa.Column("site", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        )

    op.create_table(
        "observations",
        *key(),
        number("recorded_at"),
        number("occurred_at"),
        sa.Column("type", sa.Integer, nullable=False),
        sa.Column("subject", sa.String(255)),
        sa.Column("device", sa.Integer, nullable=False),
        number("boot_epoch"),
        number("sequence"),
        sa.Column("content_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("site", "device", "boot_epoch", "sequence", name="observations_device_key"),
    )
    op.create_table(
        "facts",
        *key(),
        number("recorded_at"),
        number("occurred_at"),
        sa.Column("type", sa.Integer, nullable=False),
        sa.Column("subject", sa.Integer),
        sa.Column("id_head", sa.Integer, nullable=False),
        sa.Column("fold_version", sa.Integer, nullable=False),
        number("cause"),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("supersedes", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "supersessions",
        *key(),
        sa.Column("by_position", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


def _copy_observations(given: Mapping[str, Any]) -> None:
    copied = sa.text(
        "insert into observations (site, position, recorded_at, occurred_at, type, subject, device, boot_epoch, sequence,"
        " content_hash, payload) select :number, position, recorded_at, occurred_at, " + _NUMBER_OF.format("type") + ","
        " case when subject = device then '' else subject end, " + _NUMBER_OF.format("device") + ", boot_epoch, sequence,"
        " content_hash, payload from observations_7 where site = :site order by position"
    )
    op.get_bind().execute(copied, dict(given))


def _copy_facts(given: Mapping[str, Any]) -> None:
    inserted = sa.text(
        "insert into facts (site, position, recorded_at, occurred_at, type, subject, id_head, fold_version, cause, ordinal,"
        " supersedes, payload) values (:number, :position, :recorded_at, :occurred_at, :type, :subject, :id_head,"
        " :fold_version, :cause, :ordinal, :supersedes, :payload)"
    )
    for rows in _facts(given["site"]):
        op.get_bind().execute(inserted, [dict(given) | _stored(given["site"], row) for row in rows])


def _facts(site: str) -> Iterator[list[Any]]:
    numbers = ", ".join(f"{_NUMBER_OF.format(name)} as {name}" for name in ("type", "subject"))
    query = sa.text(
        f"select position, recorded_at, occurred_at, {numbers}, id, fold_version as version,"
        f" {_NUMBER_OF.format('fold_version')} as fold_version, cause, ordinal, supersedes, payload"
        f" from facts_7 where site = :site and position > :after order by position limit {_CHUNK}"
    )
    after = 0
    while rows := list(op.get_bind().execute(query, {"site": site, "after": after}).mappings().all()):
        yield rows
        after = rows[-1]["position"]


def _stored(site: str, row: Mapping[str, Any]) -> dict[str, Any]:
    made = fact_id(site, row["version"], row["cause"], row["ordinal"])
    if row["id"] != made:
        raise DamagedLog(
            f"fact {row['position']} of site '{site}' has id {row['id']}, but its cause gives {made}: the log is not what was "
            "written, and is left as it is. See `twin log verify` of the release that wrote it, or restore a backup"
        )
    return {**row, "id_head": id_head(made), "supersedes": packed_ids(row["supersedes"])}


def _copy_corrections() -> None:
    """By positions; one that named no stored fact, or one that was cut, corrects nothing."""
    op.execute(
        "insert into supersessions (site, position, by_position) select n.number, f.position, s.by_position"
        " from supersessions_7 s join facts_7 f on f.site = s.site and f.id = s.fact_id join names n on n.name = s.site"
    )


def _rebuild_keys() -> None:
    op.rename_table("keys", "keys_7")
    op.create_table(
        "keys",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("key_id", sa.String(255), primary_key=True),
        sa.Column("key", sa.LargeBinary(64)),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("destroyed_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.execute(
        "insert into keys (site, key_id, key, made_at, destroyed_at)"
        " select site, key_id, key, made_at, destroyed_at from keys_7"
    )
    op.drop_table("keys_7")
