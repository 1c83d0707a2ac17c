"""Observations name device and boot epoch by one number, and payloads may be packed as text: files shrink to nine tenths.

Every observation is written anew, in this one transaction; payloads stay as they are, and so do hashes and links. It needs free
room of the observations' size meanwhile. A SQLite file does not shrink: it keeps the room for what comes next.

Revision: 0009, from 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Number the boot epochs, write the observations anew, and drop what they were."""
    _create_boots()
    if op.get_bind().dialect.name != "sqlite":
        for name in ("observations_pkey", "observations_device_key"):
            op.execute(f'alter index "{name}" rename to "{name}_8"')
    op.rename_table("observations", "observations_8")
    _create_observations()
    op.execute(
        "insert into observations (site, position, recorded_at, occurred_at, type, subject, boot, sequence, content_hash,"
        " payload) select site, position, recorded_at, occurred_at, type, subject, b.number, sequence, content_hash, payload"
        " from observations_8 o join boots b on b.device = o.device and b.boot_epoch = o.boot_epoch order by site, position"
    )
    op.drop_table("observations_8")


def _create_boots() -> None:
    op.create_table(
        "boots",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("device", sa.Integer, nullable=False),
        sa.Column("boot_epoch", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("device", "boot_epoch", name="boots_device"),
    )
    op.execute(
        "insert into boots (number, device, boot_epoch) select row_number() over (order by device, boot_epoch), device,"
        " boot_epoch from (select distinct device, boot_epoch from observations) as every"
    )


def _create_observations() -> None:
    def number(name: str) -> sa.Column[int]:
        return sa.Column(name, sa.BigInteger, nullable=False)

    op.create_table(
        "observations",
        sa.Column("site", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        number("recorded_at"),
        number("occurred_at"),
        sa.Column("type", sa.Integer, nullable=False),
        sa.Column("subject", sa.String(255)),
        sa.Column("boot", sa.Integer, nullable=False),
        number("sequence"),
        sa.Column("content_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("site", "boot", "sequence", name="observations_device_key"),
    )
