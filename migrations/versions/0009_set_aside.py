"""the files that no study's work needs are counted without a look at the others."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

OTHER = sa.text("disposition <> 'accepted'")


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_received_file_other", "received_file", ["disposition", "reason"], unique=False,
                    sqlite_where=OTHER, postgresql_where=OTHER)  # fmt: skip


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_received_file_other", "received_file", sqlite_where=OTHER, postgresql_where=OTHER)
