"""Saliency maps that a person asked for, beside the one that comes with each result."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cspine.tables.base import BigId, Table


class Explanation(Table):
    """One method's map of one result: asked for, in work, there, or failed. It is made once."""

    __tablename__ = "explanation"
    __table_args__ = (UniqueConstraint("result_id", "method"), Index("ix_explanation_work", "state", "requested_at"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    result_id: Mapped[int] = mapped_column(ForeignKey("result.id"))  # names image, release and label
    method: Mapped[str] = mapped_column(String(32))  # of cspine.saliency
    state: Mapped[str] = mapped_column(String(10))  # requested, running, done, failed
    requested_by: Mapped[str] = mapped_column(String(80))  # user name
    requested_at: Mapped[datetime]
    worker: Mapped[str | None] = mapped_column(String(120))  # of the last attempt
    attempts: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]  # while running: when the sweep takes its worker for dead
    ended_at: Mapped[datetime | None]
    blob_key: Mapped[str | None] = mapped_column(String(80))  # JSON: grid, geometry, input_size, explained, method
    options: Mapped[dict[str, Any] | None]  # what the method ran with
    reason: Mapped[str | None] = mapped_column(String(40))  # why it failed
