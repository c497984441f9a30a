"""a bulk's member keeps the state in which its study was chosen."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply; what was chosen before has none."""
    op.add_column("bulk_member", sa.Column("was", sa.String(length=12), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("bulk_member", "was")
