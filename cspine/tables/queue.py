"""What people decide about the queue: lanes that are paused, bulk retries and discards, replays."""

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cspine.tables.base import BigId, Table, new_id

REASON = 400  # characters
FAULT = 400


class Pause(Table):
    """A lane, or the whole queue, from which no worker claims anything until somebody resumes it."""

    __tablename__ = "pause"

    lane: Mapped[str] = mapped_column(String(10), primary_key=True)  # urgent, normal, overnight, or `all`
    reason: Mapped[str] = mapped_column(String(REASON))
    paused_by: Mapped[str] = mapped_column(String(80))
    paused_at: Mapped[datetime]


class Bulk(Table):
    """A retry or a discard of several studies: previewed, its members frozen, then confirmed once."""

    __tablename__ = "bulk"
    __table_args__ = (Index("ix_bulk_state", "state", "created_at"),)

    id: Mapped[str] = mapped_column(String(22), primary_key=True, default=new_id)
    action: Mapped[str] = mapped_column(String(8))  # retry, discard
    selection: Mapped[dict[str, Any]]  # how it was chosen: studies, fingerprint, batch, everything, filter
    state: Mapped[str] = mapped_column(String(10))  # previewed, canary, released, stopped, done
    canary: Mapped[int] = mapped_column(default=0)  # how many run first; 0: all at once
    reason: Mapped[str | None] = mapped_column(Text)  # of a discard, as its author wrote it
    outcome: Mapped[str | None] = mapped_column(String(400))  # why it was stopped, in words
    release_id: Mapped[int | None] = mapped_column(ForeignKey("release.id"))  # active when it was confirmed
    software: Mapped[str] = mapped_column(String(40))  # version of cspine then
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(80))
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[str | None] = mapped_column(String(80))
    ended_at: Mapped[datetime | None]


class BulkMember(Table):
    """One study of a bulk retry or discard, as it stood when it was chosen."""

    __tablename__ = "bulk_member"

    bulk_id: Mapped[str] = mapped_column(ForeignKey("bulk.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)  # counts from 0; the first are the canary
    screening_id: Mapped[int] = mapped_column(BigId, ForeignKey("screening.id"), index=True)
    fingerprint: Mapped[str | None] = mapped_column(String(16))  # of its failure when it was chosen
    frozen_at: Mapped[datetime]  # `changed_at` of the screening when it was chosen; another one: it has moved since
    was: Mapped[str | None] = mapped_column(String(12))  # its state when it was chosen; older rows have none
    state: Mapped[str] = mapped_column(String(8))  # held, canary, sent, skipped
    reason: Mapped[str | None] = mapped_column(String(40))  # why it was skipped


class Replay(Table):
    """A batch screened once more by another release, in the shadow: nothing of it is shown until it is promoted."""

    __tablename__ = "replay"

    id: Mapped[str] = mapped_column(String(22), primary_key=True, default=new_id)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batch.id"), index=True)
    release_id: Mapped[int] = mapped_column(ForeignKey("release.id"))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(80))
    cancelled_at: Mapped[datetime | None]
    promoted_at: Mapped[datetime | None]
    promoted_by: Mapped[str | None] = mapped_column(String(80))
    loads: Mapped[int] = mapped_column(default=0)  # times that a worker began to load the release since one succeeded
    fault: Mapped[str | None] = mapped_column(String(FAULT))  # why the release could not be loaded, in words


class ReplayStudy(Table):
    """One study of a replay: what it showed when the replay began, and what the candidate says of it."""

    __tablename__ = "replay_study"

    replay_id: Mapped[str] = mapped_column(ForeignKey("replay.id"), primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id"), primary_key=True)
    frozen_at: Mapped[datetime]  # `changed_at` of the shown screening then; another one: it has moved since
    before_release_id: Mapped[int] = mapped_column(ForeignKey("release.id"))  # of what was shown
    before_label: Mapped[str | None] = mapped_column(String(64))  # null: no image counts
    before_flagged: Mapped[bool]
    before_urgency: Mapped[float] = mapped_column(Float)
    after_label: Mapped[str | None] = mapped_column(String(64))
    after_flagged: Mapped[bool | None]  # null until the candidate has answered every image
    after_urgency: Mapped[float | None] = mapped_column(Float)
    promoted: Mapped[bool] = mapped_column(default=False)  # the study shows the candidate's answer since the promotion
