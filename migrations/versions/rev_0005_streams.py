"""What each batch of facts was made of, and places of observations that are kept in a broker.

Revision: 0005, from 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Add the tables; batches that were committed before have no digest."""
    op.create_table(
        "fact_batches",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        _number("cursor"),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
    )
    op.create_table(
        "stream_places",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("topic", sa.String(255), nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        _number("next_offset"),
        _number("recorded_at"),
        sa.Column("content", sa.LargeBinary(32), nullable=False),
        sa.Column("times", sa.LargeBinary(32), nullable=False),
        sa.Column("devices", sa.LargeBinary, nullable=False),
    )
