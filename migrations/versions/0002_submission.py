"""upload forms, each one job."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "submission",
        sa.Column("nonce_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("batch_id", sa.String(length=22), nullable=False),
        sa.Column("study_id", sa.String(length=22), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_submission_batch_id_batch")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_submission_study_id_study")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_submission_user_id_user")),
        sa.PrimaryKeyConstraint("nonce_sha256", name=op.f("pk_submission")),
    )
    op.create_index(op.f("ix_submission_created_at"), "submission", ["created_at"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_submission_created_at"), table_name="submission")
    op.drop_table("submission")
