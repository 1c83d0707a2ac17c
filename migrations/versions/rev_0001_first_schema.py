"""The first schema: both logs, their heads, snapshots and keys.

Revision: 0001, from an empty database.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NAME, _ID = sa.String(255), sa.String(32)


def upgrade() -> None:
    """Create every table."""
    _create_observations()
    _create_facts()
    _create_the_rest()


def _create_observations() -> None:
    op.create_table(
        "heads",
        sa.Column("site", _NAME, primary_key=True),
        sa.Column("observations", sa.BigInteger, nullable=False),
        sa.Column("facts", sa.BigInteger, nullable=False),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("observations_recorded_at", sa.BigInteger, nullable=False),
        sa.Column("facts_recorded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "observations",
        sa.Column("site", _NAME, primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("type", _NAME, nullable=False),
        sa.Column("subject", _NAME),
        sa.Column("device", _NAME, nullable=False),
        sa.Column("boot_epoch", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("content_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("site", "device", "boot_epoch", "sequence", name="observations_device_key"),
    )
    op.create_table(
        "refusals",
        sa.Column("site", _NAME, primary_key=True),
        sa.Column("device", _NAME, primary_key=True),
        sa.Column("boot_epoch", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("content_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("refused_at", sa.BigInteger, nullable=False),
        sa.Column("n_refused", sa.BigInteger, nullable=False),
    )


def _create_facts() -> None:
    op.create_table(
        "facts",
        sa.Column("site", _NAME, primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("type", _NAME, nullable=False),
        sa.Column("subject", _NAME),
        sa.Column("id", _ID, nullable=False),
        sa.Column("fold_version", _NAME, nullable=False),
        sa.Column("cause", sa.BigInteger, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("supersedes", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("site", "id", name="facts_id"),
    )
    op.create_index("facts_by_time", "facts", ["site", "occurred_at", "position"])
    op.create_index("facts_by_subject", "facts", ["site", "subject", "occurred_at"])
    op.create_index("facts_by_type", "facts", ["site", "type", "occurred_at"])
    op.create_index("facts_by_recording", "facts", ["site", "recorded_at", "position"])
    op.create_table(
        "supersessions",
        sa.Column("site", _NAME, primary_key=True),
        sa.Column("fact_id", _ID, primary_key=True),
        sa.Column("by_position", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    op.create_index("supersessions_by_position", "supersessions", ["site", "by_position"])


def _create_the_rest() -> None:
    op.create_table(
        "snapshots",
        sa.Column("site", _NAME, primary_key=True),
        sa.Column("kind", _NAME, primary_key=True),
        sa.Column("version", _NAME, primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("site", _NAME, primary_key=True),
        sa.Column("key_id", _NAME, primary_key=True),
        sa.Column("key", sa.LargeBinary(64)),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("destroyed_at", sa.BigInteger),
    )
