"""what a replay's studies showed when it began, and what the candidate says of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "replay_study",
        sa.Column("replay_id", sa.String(length=22), nullable=False),
        sa.Column("study_id", sa.String(length=22), nullable=False),
        sa.Column("frozen_at", TIME, nullable=False),
        sa.Column("before_release_id", BIG, nullable=False),
        sa.Column("before_label", sa.String(length=64), nullable=True),
        sa.Column("before_flagged", sa.Boolean(), nullable=False),
        sa.Column("before_urgency", sa.Float(), nullable=False),
        sa.Column("after_label", sa.String(length=64), nullable=True),
        sa.Column("after_flagged", sa.Boolean(), nullable=True),
        sa.Column("after_urgency", sa.Float(), nullable=True),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["replay_id"], ["replay.id"], name=op.f("fk_replay_study_replay_id_replay")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_replay_study_study_id_study")),
        sa.ForeignKeyConstraint(
            ["before_release_id"], ["release.id"], name=op.f("fk_replay_study_before_release_id_release")
        ),
        sa.PrimaryKeyConstraint("replay_id", "study_id", name=op.f("pk_replay_study")),
    )
    op.add_column("replay", sa.Column("loads", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("replay", sa.Column("fault", sa.String(length=400), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("replay", "fault")
    op.drop_column("replay", "loads")
    op.drop_table("replay_study")
