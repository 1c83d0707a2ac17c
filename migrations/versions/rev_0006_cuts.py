"""Retention: its cuts, and a chain over the facts that it never takes, computed over those that are there.

Revision: 0006, from 0005.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from twin.events.ids import SiteId
from twin.log.chain import following, origin

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NUMBERS, _LINK = ("kept", "kept_recorded_at", "observations_cut", "facts_cut"), ("kept_content", "kept_times")
_MARK_EVERY, _CHUNK = 1_000, 5_000


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Add table and columns, and chain every fact but movement."""
    op.create_table(
        "cuts",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("log", sa.String(12), nullable=False),
        *(_number(name) for name in ("position", "made_at", "recorded_at", "at")),
        *(sa.Column(name, sa.LargeBinary(32), nullable=False) for name in ("content", "times", "body_hash")),
        sa.Column("body", sa.LargeBinary),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("is_swept", sa.Integer, nullable=False),
    )
    with op.batch_alter_table("heads") as heads:
        for name in _NUMBERS:
            heads.add_column(sa.Column(name, sa.BigInteger))
        for name in _LINK:
            heads.add_column(sa.Column(name, sa.LargeBinary(32)))
    for (site,) in op.get_bind().execute(sa.text("select site from heads")).all():
        values = _chained(site)
        assigned = ", ".join(f"{name} = :{name}" for name in values)
        op.get_bind().execute(sa.text(f"update heads set {assigned} where site = :site"), values | {"site": site})
    with op.batch_alter_table("heads") as heads:
        for name in _NUMBERS:
            heads.alter_column(name, existing_type=sa.BigInteger, nullable=False)
        for name in _LINK:
            heads.alter_column(name, existing_type=sa.LargeBinary(32), nullable=False)


def _chained(site: str) -> dict[str, Any]:
    marked = sa.text(
        "insert into chain_marks (site, log, position, content, times) values (:site, 'kept', :position, :content, :times)"
    )
    position, link, recorded_at = 0, origin(SiteId(site), "kept"), 0
    for row in _kept(site):
        link = following(link, "facts", row, recorded_at)
        if row["position"] // _MARK_EVERY != position // _MARK_EVERY:
            mark = {"site": site, "position": row["position"], "content": link.content, "times": link.times}
            op.get_bind().execute(marked, mark)
        position, recorded_at = row["position"], row["recorded_at"]
    return dict(zip(_NUMBERS, (position, recorded_at, 0, 0), strict=True)) | dict(zip(_LINK, link, strict=True))


def _kept(site: str) -> Iterator[Any]:
    query = sa.text(
        "select * from facts where site = :site and position > :after and type <> 'vehicle.moved.v1' "
        f"order by position limit {_CHUNK}"
    )
    after = 0
    while rows := op.get_bind().execute(query, {"site": site, "after": after}).mappings().all():
        yield from rows
        after = rows[-1]["position"]
