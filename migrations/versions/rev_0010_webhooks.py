"""Webhooks and their last attempts, and pauses that a subscription carries itself.

Revision: 0010, from 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Add the tables and the column."""
    op.add_column("subscriptions", sa.Column("pauses_s", sa.Text))
    op.create_table(
        "webhooks",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _number("created_at"),
        _number("held_until"),
        _number("n_attempts"),
        sa.Column("secrets", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("webhook", sa.String(255), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        _number("position"),
        sa.Column("event_id", sa.String(255), nullable=False),
        sa.Column("n_attempts", sa.Integer, nullable=False),
        _number("at"),
        sa.Column("outcome", sa.String(12), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text, nullable=False),
        _number("duration_us"),
        sa.Column("next_at", sa.BigInteger),
    )
