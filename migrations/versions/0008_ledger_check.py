"""when the sweep last checked a batch's ledger, and since when it does not balance."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.add_column("batch", sa.Column("ledger_checked_at", TIME, nullable=True))
    op.add_column("batch", sa.Column("unbalanced_since", TIME, nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("batch", "unbalanced_since")
    op.drop_column("batch", "ledger_checked_at")
