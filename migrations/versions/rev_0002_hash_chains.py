"""Hash chains: their heads beside the sites', and marks on the way, computed over the events that are there.

Revision: 0002, from 0001.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from twin.events.ids import SiteId
from twin.log.chain import Link, LogName, following, origin

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_HEADS = tuple(f"{log}_{part}" for log in ("observations", "facts") for part in ("content", "times"))
_MARK_EVERY, _CHUNK = 1_000, 5_000


def upgrade() -> None:
    """Add the columns and the table, and chain every event."""
    op.create_table(
        "chain_marks",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("log", sa.String(12), primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("content", sa.LargeBinary(32), nullable=False),
        sa.Column("times", sa.LargeBinary(32), nullable=False),
    )
    with op.batch_alter_table("heads") as heads:
        for name in _HEADS:
            heads.add_column(sa.Column(name, sa.LargeBinary(32)))
    for (site,) in op.get_bind().execute(sa.text("select site from heads")).all():
        links = (*_chain(site, "observations"), *_chain(site, "facts"))
        values = dict(zip(_HEADS, links, strict=True)) | {"site": site}
        assigned = ", ".join(f"{name} = :{name}" for name in _HEADS)
        op.get_bind().execute(sa.text(f"update heads set {assigned} where site = :site"), values)
    with op.batch_alter_table("heads") as heads:
        for name in _HEADS:
            heads.alter_column(name, existing_type=sa.LargeBinary(32), nullable=False)


def _chain(site: str, log: LogName) -> Link:
    marked = sa.text(
        "insert into chain_marks (site, log, position, content, times) values (:site, :log, :position, :content, :times)"
    )
    link, recorded_at = origin(SiteId(site), log), 0
    for row in _rows(site, log):
        link, recorded_at = following(link, log, row, recorded_at), row["recorded_at"]
        if row["position"] % _MARK_EVERY == 0:
            mark = {"site": site, "log": log, "position": row["position"], "content": link.content, "times": link.times}
            op.get_bind().execute(marked, mark)
    return link


def _rows(site: str, log: LogName) -> Iterator[Any]:
    query = sa.text(f"select * from {log} where site = :site and position > :after order by position limit {_CHUNK}")
    after = 0
    while rows := op.get_bind().execute(query, {"site": site, "after": after}).mappings().all():
        yield from rows
        after = rows[-1]["position"]
