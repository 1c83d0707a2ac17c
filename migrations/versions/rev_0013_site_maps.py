"""Which map of a site its facts were concluded with.

Revision: 0013, from 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table. Logs of before have no rows: their map becomes known when a service next begins with one."""
    op.create_table(
        "site_maps",
        sa.Column("site", sa.String(255), primary_key=True),
        sa.Column("after_position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
