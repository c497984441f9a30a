"""what files say of their studies: identity, announced instances."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

UIDS = ("study_uid", "series_uid", "sop_uid")


def upgrade() -> None:
    """Apply."""
    for uid in UIDS:
        op.add_column("received_file", sa.Column(uid, sa.String(length=64), nullable=True))
    op.create_index("ix_received_file_study_uid_sop_uid", "received_file", ["study_uid", "sop_uid"], unique=False)
    op.create_table(
        "announced",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_uid", sa.String(length=64), nullable=True),
        sa.Column("series_uid", sa.String(length=64), nullable=True),
        sa.Column("instances", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["file_id"], ["received_file.id"], name=op.f("fk_announced_file_id_received_file")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announced")),
    )
    op.create_index(op.f("ix_announced_file_id"), "announced", ["file_id"], unique=False)
    op.create_index("ix_announced_study_uid_sop_uid", "announced", ["study_uid", "sop_uid"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_table("announced")
    op.drop_index("ix_received_file_study_uid_sop_uid", table_name="received_file")
    for uid in UIDS:
        op.drop_column("received_file", uid)
