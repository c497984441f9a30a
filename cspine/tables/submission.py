"""Upload forms that were sent, so that a double click or a reload is one job."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from cspine.tables.base import Table


class Submission(Table):
    """One upload form: its nonce, and what became of it."""

    __tablename__ = "submission"

    nonce_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    batch_id: Mapped[str] = mapped_column(ForeignKey("batch.id"))
    study_id: Mapped[str | None] = mapped_column(ForeignKey("study.id"))  # where it was one picture by itself
    created_at: Mapped[datetime] = mapped_column(index=True)
    finished_at: Mapped[datetime | None]  # null until each of its files is stored
