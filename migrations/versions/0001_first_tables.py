"""first tables."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""

    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=True),
        sa.Column("detail", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
    op.create_table(
        "batch",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("lane", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=True),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unreadable_files", sa.Integer(), nullable=False),
        sa.Column("unreadable_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unreadable_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint("name", name=op.f("uq_batch_name")),
    )
    op.create_index(op.f("ix_batch_created_at"), "batch", ["created_at"], unique=False)
    op.create_table(
        "claim",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("stage", sa.String(length=8), nullable=False),
        sa.Column("worker", sa.String(length=120), nullable=False),
        sa.Column("device", sa.String(length=40), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claim")),
    )
    op.create_index("ix_claim_open", "claim", ["ended_at", "expires_at"], unique=False)
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "release",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("card", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
        sa.UniqueConstraint("identity", name=op.f("uq_release_identity")),
    )
    op.create_index(
        "uq_release_active",
        "release",
        ["active"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "user",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("name", name=op.f("uq_user_name")),
    )
    op.create_table(
        "study",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("batch_id", sa.String(length=22), nullable=False),
        sa.Column("lane", sa.String(length=10), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("patient_name", sa.String(length=400), nullable=True),
        sa.Column("patient_id", sa.String(length=100), nullable=True),
        sa.Column("patient_birth_date", sa.String(length=10), nullable=True),
        sa.Column("patient_sex", sa.String(length=4), nullable=True),
        sa.Column("accession_number", sa.String(length=100), nullable=True),
        sa.Column("study_date", sa.String(length=10), nullable=True),
        sa.Column("study_time", sa.String(length=8), nullable=True),
        sa.Column("study_description", sa.String(length=400), nullable=True),
        sa.Column("modality", sa.String(length=20), nullable=True),
        sa.Column("station", sa.String(length=100), nullable=True),
        sa.Column("bucket", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=True),
        sa.Column("urgency", sa.Float(), nullable=False),
        sa.Column("probabilities", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("flags", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("thumbnail_key", sa.String(length=80), nullable=True),
        sa.Column("image_count", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_by", sa.String(length=80), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_study_batch_id_batch")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("study_uid", name=op.f("uq_study_study_uid")),
    )
    op.create_index("ix_study_archive", "study", ["received_at", "id"], unique=False)
    op.create_index(op.f("ix_study_batch_id"), "study", ["batch_id"], unique=False)
    op.create_index("ix_study_oldest", "study", ["read_at", "bucket", "received_at", "id"], unique=False)
    op.create_index("ix_study_triage", "study", ["read_at", "bucket", "urgency", "received_at", "id"], unique=False)
    op.create_table(
        "token",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spent_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_token_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("sha256", name=op.f("uq_token_sha256")),
    )
    op.create_table(
        "received_file",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("batch_id", sa.String(length=22), nullable=False),
        sa.Column("study_id", sa.String(length=22), nullable=True),
        sa.Column("name", sa.String(length=1000), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("blob_key", sa.String(length=80), nullable=True),
        sa.Column("original", sa.Boolean(), nullable=False),
        sa.Column("duplicate_of", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("disposition", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("flags", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("decoded", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_received_file_batch_id_batch")),
        sa.ForeignKeyConstraint(
            ["duplicate_of"], ["received_file.id"], name=op.f("fk_received_file_duplicate_of_received_file")
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_received_file_study_id_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_received_file")),
    )
    op.create_index(op.f("ix_received_file_batch_id"), "received_file", ["batch_id"], unique=False)
    op.create_index("ix_received_file_study_id_disposition", "received_file", ["study_id", "disposition"], unique=False)
    op.create_index(
        "uq_received_file_original",
        "received_file",
        ["sha256"],
        unique=True,
        sqlite_where=sa.text("original"),
        postgresql_where=sa.text("original"),
    )
    op.create_table(
        "review",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_id", sa.String(length=22), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action", sa.String(length=12), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_review_study_id_study")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_review_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index(op.f("ix_review_study_id"), "review", ["study_id"], unique=False)
    op.create_table(
        "screening",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_id", sa.String(length=22), nullable=False),
        sa.Column("release_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("lane", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim_id", sa.String(length=22), nullable=True),
        sa.Column("group_id", sa.String(length=22), nullable=True),
        sa.Column("cpu_only", sa.Boolean(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("lone_attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stage", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("error_kind", sa.String(length=10), nullable=True),
        sa.Column("fingerprint", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["claim_id"], ["claim.id"], name=op.f("fk_screening_claim_id_claim")),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_screening_release_id_release")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_screening_study_id_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screening")),
    )
    op.create_index(op.f("ix_screening_claim_id"), "screening", ["claim_id"], unique=False)
    op.create_index("ix_screening_fingerprint", "screening", ["fingerprint"], unique=False)
    op.create_index(op.f("ix_screening_group_id"), "screening", ["group_id"], unique=False)
    op.create_index(op.f("ix_screening_study_id"), "screening", ["study_id"], unique=False)
    op.create_index("ix_screening_work", "screening", ["state", "lane", "created_at", "id"], unique=False)
    op.create_index(
        "uq_screening_shown",
        "screening",
        ["study_id"],
        unique=True,
        sqlite_where=sa.text("NOT shadow"),
        postgresql_where=sa.text("NOT shadow"),
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("screening_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("claim_id", sa.String(length=22), nullable=False),
        sa.Column("release_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("stage", sa.String(length=8), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("company", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=120), nullable=False),
        sa.Column("device", sa.String(length=40), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("error_kind", sa.String(length=10), nullable=True),
        sa.Column("fingerprint", sa.String(length=16), nullable=True),
        sa.Column("place", sa.String(length=200), nullable=True),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("software", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["claim_id"], ["claim.id"], name=op.f("fk_attempt_claim_id_claim")),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_attempt_release_id_release")),
        sa.ForeignKeyConstraint(["screening_id"], ["screening.id"], name=op.f("fk_attempt_screening_id_screening")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
    )
    op.create_index(op.f("ix_attempt_claim_id"), "attempt", ["claim_id"], unique=False)
    op.create_index(op.f("ix_attempt_fingerprint"), "attempt", ["fingerprint"], unique=False)
    op.create_index(op.f("ix_attempt_screening_id"), "attempt", ["screening_id"], unique=False)
    op.create_table(
        "image",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_id", sa.String(length=22), nullable=False),
        sa.Column("file_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("series_uid", sa.String(length=64), nullable=True),
        sa.Column("sop_uid", sa.String(length=64), nullable=True),
        sa.Column("series_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("instance_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("body_part", sa.String(length=20), nullable=True),
        sa.Column("view", sa.String(length=20), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("display_rows", sa.Integer(), nullable=False),
        sa.Column("display_columns", sa.Integer(), nullable=False),
        sa.Column("pixel_sha256", sa.String(length=64), nullable=False),
        sa.Column("canonical_key", sa.String(length=80), nullable=False),
        sa.Column("preview_key", sa.String(length=80), nullable=False),
        sa.Column("thumbnail_key", sa.String(length=80), nullable=False),
        sa.Column("flags", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["received_file.id"], name=op.f("fk_image_file_id_received_file")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_image_study_id_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image")),
        sa.UniqueConstraint("file_id", "frame", name=op.f("uq_image_file_id_frame")),
    )
    op.create_index(op.f("ix_image_sop_uid"), "image", ["sop_uid"], unique=False)
    op.create_index(op.f("ix_image_study_id"), "image", ["study_id"], unique=False)
    op.create_table(
        "result",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("image_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("release_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("attempt_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("preprocessing", sa.String(length=64), nullable=False),
        sa.Column("input_sha256", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("probabilities", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("urgency", sa.Float(), nullable=False),
        sa.Column("flagged", sa.Boolean(), nullable=False),
        sa.Column("flags", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("ood_score", sa.Float(), nullable=True),
        sa.Column("explained", sa.String(length=64), nullable=True),
        sa.Column("saliency", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("timings", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("software", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("fk_result_attempt_id_attempt")),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_result_image_id_image")),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_result_release_id_release")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_result")),
        sa.UniqueConstraint(
            "image_id", "release_id", "preprocessing", name=op.f("uq_result_image_id_release_id_preprocessing")
        ),
    )


def downgrade() -> None:
    """Take back."""

    op.drop_table("result")
    op.drop_index(op.f("ix_image_study_id"), table_name="image")
    op.drop_index(op.f("ix_image_sop_uid"), table_name="image")
    op.drop_table("image")
    op.drop_index(op.f("ix_attempt_screening_id"), table_name="attempt")
    op.drop_index(op.f("ix_attempt_fingerprint"), table_name="attempt")
    op.drop_index(op.f("ix_attempt_claim_id"), table_name="attempt")
    op.drop_table("attempt")
    op.drop_index(
        "uq_screening_shown",
        table_name="screening",
        sqlite_where=sa.text("NOT shadow"),
        postgresql_where=sa.text("NOT shadow"),
    )
    op.drop_index("ix_screening_work", table_name="screening")
    op.drop_index(op.f("ix_screening_study_id"), table_name="screening")
    op.drop_index(op.f("ix_screening_group_id"), table_name="screening")
    op.drop_index("ix_screening_fingerprint", table_name="screening")
    op.drop_index(op.f("ix_screening_claim_id"), table_name="screening")
    op.drop_table("screening")
    op.drop_index(op.f("ix_review_study_id"), table_name="review")
    op.drop_table("review")
    op.drop_index(
        "uq_received_file_original",
        table_name="received_file",
        sqlite_where=sa.text("original"),
        postgresql_where=sa.text("original"),
    )
    op.drop_index("ix_received_file_study_id_disposition", table_name="received_file")
    op.drop_index(op.f("ix_received_file_batch_id"), table_name="received_file")
    op.drop_table("received_file")
    op.drop_table("token")
    op.drop_index("ix_study_triage", table_name="study")
    op.drop_index("ix_study_oldest", table_name="study")
    op.drop_index(op.f("ix_study_batch_id"), table_name="study")
    op.drop_index("ix_study_archive", table_name="study")
    op.drop_table("study")
    op.drop_table("user")
    op.drop_index(
        "uq_release_active", table_name="release", sqlite_where=sa.text("active"), postgresql_where=sa.text("active")
    )
    op.drop_table("release")
    op.drop_table("heartbeat")
    op.drop_index("ix_claim_open", table_name="claim")
    op.drop_table("claim")
    op.drop_index(op.f("ix_batch_created_at"), table_name="batch")
    op.drop_table("batch")
    op.drop_index("ix_audit_at", table_name="audit")
    op.drop_table("audit")
