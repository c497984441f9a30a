"""pauses, bulk retries, replays, and which result of an image is shown."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)
SPARSE = ("claim_id", "fingerprint", "group_id")  # null in most rows


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "pause",
        sa.Column("lane", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("paused_by", sa.String(length=80), nullable=False),
        sa.Column("paused_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_pause")),
    )
    op.create_table(
        "bulk",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("selection", JSON, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("canary", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(length=400), nullable=True),
        sa.Column("release_id", BIG, nullable=True),
        sa.Column("software", sa.String(length=40), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("confirmed_at", TIME, nullable=True),
        sa.Column("confirmed_by", sa.String(length=80), nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_bulk_release_id_release")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk")),
    )
    op.create_index("ix_bulk_state", "bulk", ["state", "created_at"], unique=False)
    op.create_table(
        "bulk_member",
        sa.Column("bulk_id", sa.String(length=22), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("screening_id", BIG, nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=True),
        sa.Column("frozen_at", TIME, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["bulk_id"], ["bulk.id"], name=op.f("fk_bulk_member_bulk_id_bulk")),
        sa.ForeignKeyConstraint(["screening_id"], ["screening.id"], name=op.f("fk_bulk_member_screening_id_screening")),
        sa.PrimaryKeyConstraint("bulk_id", "position", name=op.f("pk_bulk_member")),
    )
    op.create_index(op.f("ix_bulk_member_screening_id"), "bulk_member", ["screening_id"], unique=False)
    op.create_table(
        "replay",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("batch_id", sa.String(length=22), nullable=False),
        sa.Column("release_id", BIG, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("cancelled_at", TIME, nullable=True),
        sa.Column("promoted_at", TIME, nullable=True),
        sa.Column("promoted_by", sa.String(length=80), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_replay_batch_id_batch")),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_replay_release_id_release")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replay")),
    )
    op.create_index(op.f("ix_replay_batch_id"), "replay", ["batch_id"], unique=False)
    for column in SPARSE:
        op.drop_index(f"ix_screening_{column}", table_name="screening")
    with op.batch_alter_table("screening") as table:
        table.add_column(sa.Column("replay_id", sa.String(length=22), nullable=True))
        table.create_foreign_key(op.f("fk_screening_replay_id_replay"), "replay", ["replay_id"], ["id"])
    for column in (*SPARSE, "replay_id"):
        where = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_screening_{column}", "screening", [column], unique=False, sqlite_where=where,
                        postgresql_where=where)  # fmt: skip
    op.add_column("result", sa.Column("shown", sa.Boolean(), nullable=False, server_default=sa.true()))
    newer = "SELECT 1 FROM result newer WHERE newer.image_id = result.image_id AND newer.id > result.id"
    op.execute(f"UPDATE result SET shown = false WHERE EXISTS ({newer})")
    with op.batch_alter_table("result") as table:
        table.alter_column("shown", server_default=None)
    op.create_index("uq_result_shown", "result", ["image_id"], unique=True, sqlite_where=sa.text("shown"),
                    postgresql_where=sa.text("shown"))  # fmt: skip


def downgrade() -> None:
    """Take back."""
    op.drop_index("uq_result_shown", table_name="result")
    with op.batch_alter_table("result") as table:
        table.drop_column("shown")
    for column in (*SPARSE, "replay_id"):
        op.drop_index(f"ix_screening_{column}", table_name="screening")
    # What a replay said would be shown without it.
    shadows = "(SELECT id FROM screening WHERE shadow)"
    attempts = f"(SELECT id FROM attempt WHERE screening_id IN {shadows})"
    op.execute(f"DELETE FROM explanation WHERE result_id IN (SELECT id FROM result WHERE attempt_id IN {attempts})")
    op.execute(f"DELETE FROM result WHERE attempt_id IN {attempts}")
    op.execute(f"DELETE FROM attempt WHERE screening_id IN {shadows}")
    op.execute(f"DELETE FROM bulk_member WHERE screening_id IN {shadows}")
    op.execute("DELETE FROM screening WHERE shadow")
    with op.batch_alter_table("screening") as table:
        table.drop_constraint(op.f("fk_screening_replay_id_replay"), type_="foreignkey")
        table.drop_column("replay_id")
    for column in SPARSE:
        op.create_index(f"ix_screening_{column}", "screening", [column], unique=False)
    for name in ("replay", "bulk_member", "bulk", "pause"):
        op.drop_table(name)
