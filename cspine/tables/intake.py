"""What came in: batches and the files received in them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from cspine.tables.base import BigId, Table, new_id

BATCH_NAME = 200  # characters


class Batch(Table):
    """A submission with a name, a lane and a ledger: a night's folder, an upload, an association's files."""

    __tablename__ = "batch"

    id: Mapped[str] = mapped_column(String(22), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(BATCH_NAME), unique=True)
    lane: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(index=True)
    created_by: Mapped[str | None] = mapped_column(String(80))  # user name; null from the command line
    deadline: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    # Rejected files that belong to no study make one row of the triage list, until somebody marks it as read.
    unreadable_files: Mapped[int] = mapped_column(default=0)
    unreadable_since: Mapped[datetime | None]
    unreadable_read_at: Mapped[datetime | None]
    ledger_checked_at: Mapped[datetime | None]  # by the sweep
    unbalanced_since: Mapped[datetime | None]  # when it found that the buckets do not add up; null where they do


class ReceivedFile(Table):
    """One receipt of one file; the ledger puts each into exactly one bucket."""

    __tablename__ = "received_file"
    __table_args__ = (
        # The first receipt of given bytes is their original; any later one is a duplicate of it.
        Index("uq_received_file_original", "sha256", unique=True, sqlite_where=text("original"),
              postgresql_where=text("original")),
        Index("ix_received_file_study_id_disposition", "study_id", "disposition"),
        Index("ix_received_file_study_uid_sop_uid", "study_uid", "sop_uid"),
        # What no study's work needs is counted for /metrics, and is a small share of the files.
        Index("ix_received_file_other", "disposition", "reason", sqlite_where=text("disposition <> 'accepted'"),
              postgresql_where=text("disposition <> 'accepted'")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batch.id"), index=True)
    study_id: Mapped[str | None] = mapped_column(ForeignKey("study.id"))
    study_uid: Mapped[str | None] = mapped_column(String(64))  # as the header has them, where they are valid
    series_uid: Mapped[str | None] = mapped_column(String(64))
    sop_uid: Mapped[str | None] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(1000))  # as sent, cleaned for display; never part of a path of ours
    kind: Mapped[str | None] = mapped_column(String(10))  # dicom, png, jpeg, tiff, bmp, webp, zip, other
    sha256: Mapped[str | None] = mapped_column(String(64))  # null where it was refused before its end
    size: Mapped[int] = mapped_column(BigId)
    blob_key: Mapped[str | None] = mapped_column(String(80))  # null where the bytes were not kept
    original: Mapped[bool]
    duplicate_of: Mapped[int | None] = mapped_column(ForeignKey("received_file.id"))
    disposition: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(String(40))
    flags: Mapped[list[str]] = mapped_column(default=list)
    decoded: Mapped[bool] = mapped_column(default=False)  # its images are in the table `image`
    received_at: Mapped[datetime]


class Announced(Table):
    """What a received file says of a study, which need not be here yet: that it has an instance, or how many."""

    __tablename__ = "announced"
    __table_args__ = (Index("ix_announced_study_uid_sop_uid", "study_uid", "sop_uid"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("received_file.id"), index=True)
    study_uid: Mapped[str] = mapped_column(String(64))
    sop_uid: Mapped[str | None] = mapped_column(String(64))  # the instance; null in a row that counts
    series_uid: Mapped[str | None] = mapped_column(String(64))  # whose instances are counted; null: all of the study
    instances: Mapped[int | None]  # how many there are
