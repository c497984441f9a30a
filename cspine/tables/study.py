"""Studies and their images."""

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cspine.tables.base import BigId, Table, new_id


class Study(Table):
    """A study with what the triage list shows of it, kept up to date with every change of its screening."""

    __tablename__ = "study"
    __table_args__ = (
        Index("ix_study_triage", "read_at", "bucket", "urgency", "received_at", "id"),
        Index("ix_study_oldest", "read_at", "bucket", "received_at", "id"),
        Index("ix_study_archive", "received_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(22), primary_key=True, default=new_id)
    study_uid: Mapped[str] = mapped_column(String(64), unique=True)  # StudyInstanceUID, or one of our own
    batch_id: Mapped[str] = mapped_column(ForeignKey("batch.id"), index=True)  # the batch of its first file
    lane: Mapped[str] = mapped_column(String(10))
    received_at: Mapped[datetime]

    # As stored in the first header; dates as DICOM has them, never shifted
    patient_name: Mapped[str | None] = mapped_column(String(400))
    patient_id: Mapped[str | None] = mapped_column(String(100))
    patient_birth_date: Mapped[str | None] = mapped_column(String(10))
    patient_sex: Mapped[str | None] = mapped_column(String(4))
    accession_number: Mapped[str | None] = mapped_column(String(100))
    study_date: Mapped[str | None] = mapped_column(String(10))
    study_time: Mapped[str | None] = mapped_column(String(8))
    study_description: Mapped[str | None] = mapped_column(String(400))
    modality: Mapped[str | None] = mapped_column(String(20))
    station: Mapped[str | None] = mapped_column(String(100))

    # The answer (design, section 7); bucket is never `overdue`, which the query makes from received_at
    bucket: Mapped[str] = mapped_column(String(12))  # positive, not_analysed, normal
    reason: Mapped[str] = mapped_column(String(400))
    label: Mapped[str | None] = mapped_column(String(64))
    urgency: Mapped[float] = mapped_column(Float, default=0.0)
    probabilities: Mapped[dict[str, Any] | None]  # label -> probability of the image that gives the urgency
    flags: Mapped[list[str]] = mapped_column(default=list)
    thumbnail_key: Mapped[str | None] = mapped_column(String(80))
    image_count: Mapped[int] = mapped_column(default=0)

    read_at: Mapped[datetime | None]  # null: on the unread list
    read_by: Mapped[str | None] = mapped_column(String(80))


class Image(Table):
    """One frame of one file, decoded."""

    __tablename__ = "image"
    __table_args__ = (UniqueConstraint("file_id", "frame"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id"), index=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("received_file.id"))
    frame: Mapped[int]  # counts from 0
    series_uid: Mapped[str | None] = mapped_column(String(64))
    sop_uid: Mapped[str | None] = mapped_column(String(64), index=True)
    series_number: Mapped[int | None] = mapped_column(BigId)
    instance_number: Mapped[int | None] = mapped_column(BigId)
    body_part: Mapped[str | None] = mapped_column(String(20))
    view: Mapped[str | None] = mapped_column(String(20))
    rows: Mapped[int]  # as decoded
    columns: Mapped[int]
    display_rows: Mapped[int]  # after aspect correction
    display_columns: Mapped[int]
    pixel_sha256: Mapped[str] = mapped_column(String(64))  # of the 8-bit picture
    canonical_key: Mapped[str] = mapped_column(String(80))  # PNG, 8-bit grey, longest side at most 512
    preview_key: Mapped[str] = mapped_column(String(80))  # JPEG, longest side at most 1024
    thumbnail_key: Mapped[str] = mapped_column(String(80))  # JPEG, longest side at most 160
    flags: Mapped[list[str]] = mapped_column(default=list)
