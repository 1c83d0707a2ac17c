"""Durable subscriptions and what they have not acknowledged.

Revision: 0003, from 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "subscriptions",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("most_attempts", sa.Integer, nullable=False),
        _number("created_at"),
        _number("read_to"),
        sa.Column("replay_until", sa.BigInteger),
        sa.Column("replay_resume", sa.BigInteger),
        _number("n_leases"),
        _number("n_acknowledged"),
        _number("n_discarded"),
    )
    op.create_table(
        "deliveries",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("subscription", sa.String(255), primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("order", sa.String(255), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("n_attempts", sa.Integer, nullable=False),
        _number("lease"),
        sa.Column("holder", sa.String(255), nullable=False),
        _number("until"),
        sa.Column("reason", sa.Text, nullable=False),
    )
