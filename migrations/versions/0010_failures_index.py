"""what failed alike is found with its time, for trends, first and last seen; only failed attempts stand in it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FAILED = sa.text("fingerprint IS NOT NULL")


def upgrade() -> None:
    """Apply."""
    op.drop_index(op.f("ix_attempt_fingerprint"), table_name="attempt")
    op.create_index("ix_attempt_failures", "attempt", ["fingerprint", "ended_at"], unique=False, sqlite_where=FAILED,
                    postgresql_where=FAILED)  # fmt: skip


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_attempt_failures", "attempt", sqlite_where=FAILED, postgresql_where=FAILED)
    op.create_index(op.f("ix_attempt_fingerprint"), "attempt", ["fingerprint"], unique=False)
