"""Payloads may be packed from now on, which older releases would take for damage; facts lose an index that is not needed.

Rows that are there stay as they are: what a payload begins with tells how it is stored. See ``twin.log.sql.packing``.

Revision: 0007, from 0006.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Times of recording rise with positions, so they are found by halving these."""
    op.drop_index("facts_by_recording", "facts")
