"""The work on a study: screenings, the claims that hold them, attempts, results, releases."""

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from cspine.tables.base import BigId, Table, new_id


class Release(Table):
    """A model release that was imported; its files lie in the blob store under its identity."""

    __tablename__ = "release"
    __table_args__ = (
        Index("uq_release_active", "active", unique=True, sqlite_where=text("active"), postgresql_where=text("active")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    identity: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256 of its SHA256SUMS
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[str] = mapped_column(String(64))
    card: Mapped[dict[str, Any]]
    imported_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    active: Mapped[bool] = mapped_column(default=False)


class Screening(Table):
    """One study under one release: the row that every claim, retry and ledger looks at."""

    __tablename__ = "screening"
    __table_args__ = (
        Index("uq_screening_shown", "study_id", unique=True, sqlite_where=text("NOT shadow"),
              postgresql_where=text("NOT shadow")),
        Index("ix_screening_work", "state", "lane", "created_at", "id"),
        # Null in most rows, and written with each change of state: kept small.
        *(Index(f"ix_screening_{name}", name, sqlite_where=text(f"{name} IS NOT NULL"),
                postgresql_where=text(f"{name} IS NOT NULL"))
          for name in ("claim_id", "group_id", "fingerprint", "replay_id")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id"), index=True)
    release_id: Mapped[int | None] = mapped_column(ForeignKey("release.id"))  # null until it is claimed for screening
    shadow: Mapped[bool] = mapped_column(default=False)  # a replay's: in neither ledger nor triage
    replay_id: Mapped[str | None] = mapped_column(ForeignKey("replay.id"))  # of a shadow
    state: Mapped[str] = mapped_column(String(12))
    lane: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]  # of the last change of state
    claim_id: Mapped[str | None] = mapped_column(ForeignKey("claim.id"))  # who holds it now
    group_id: Mapped[str | None] = mapped_column(String(22))  # runs with exactly these after a crash
    cpu_only: Mapped[bool] = mapped_column(default=False)  # it crashed alone on another device
    tries: Mapped[int] = mapped_column(default=0)  # transient errors of its own since the last retry by a person
    lone_attempts: Mapped[int] = mapped_column(default=0)  # attempts alone that ended without an answer
    # How often it was lost with its whole worker since the last retry by a person
    losses: Mapped[int] = mapped_column(default=0, server_default="0")
    next_try_at: Mapped[datetime | None]  # while `waiting`
    stage: Mapped[str] = mapped_column(String(8), default="prepare")  # what it waits for or failed in
    # Of the last failure; null when done
    reason: Mapped[str | None] = mapped_column(String(40))
    error_kind: Mapped[str | None] = mapped_column(String(10))
    fingerprint: Mapped[str | None] = mapped_column(String(16))


class Claim(Table):
    """A worker's lease on one or more screenings; one row, so that renewing it is one update."""

    __tablename__ = "claim"
    __table_args__ = (Index("ix_claim_open", "ended_at", "expires_at"),)

    id: Mapped[str] = mapped_column(String(22), primary_key=True, default=new_id)
    stage: Mapped[str] = mapped_column(String(8))
    worker: Mapped[str] = mapped_column(String(120))  # host, kind and process id
    device: Mapped[str] = mapped_column(String(40))  # cpu, gpu:0
    size: Mapped[int]
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Attempt(Table):
    """One run of one screening: written before the run, ended once, never changed after."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_failures", "fingerprint", "ended_at", sqlite_where=text("fingerprint IS NOT NULL"),
              postgresql_where=text("fingerprint IS NOT NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    screening_id: Mapped[int] = mapped_column(ForeignKey("screening.id"), index=True)
    claim_id: Mapped[str] = mapped_column(ForeignKey("claim.id"), index=True)
    release_id: Mapped[int | None] = mapped_column(ForeignKey("release.id"))
    stage: Mapped[str] = mapped_column(String(8))
    number: Mapped[int]  # counts from 1 within the screening
    company: Mapped[int]  # how many screenings ran together, this one included
    worker: Mapped[str] = mapped_column(String(120))
    device: Mapped[str] = mapped_column(String(40))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(String(40))
    error_kind: Mapped[str | None] = mapped_column(String(10))
    fingerprint: Mapped[str | None] = mapped_column(String(16))
    place: Mapped[str | None] = mapped_column(String(200))  # the innermost line of ours, "folder/file.py:function"
    traceback: Mapped[str | None] = mapped_column(Text)
    software: Mapped[str] = mapped_column(String(40))  # version of cspine


class Result(Table):
    """What one release says of one image under one preprocessing version."""

    __tablename__ = "result"
    __table_args__ = (
        UniqueConstraint("image_id", "release_id", "preprocessing"),
        Index("uq_result_shown", "image_id", unique=True, sqlite_where=text("shown"), postgresql_where=text("shown")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    release_id: Mapped[int] = mapped_column(ForeignKey("release.id"))
    attempt_id: Mapped[int] = mapped_column(ForeignKey("attempt.id"))
    preprocessing: Mapped[str] = mapped_column(String(64))
    input_sha256: Mapped[str] = mapped_column(String(64))  # of the canonical picture's bytes
    label: Mapped[str] = mapped_column(String(64))
    probabilities: Mapped[dict[str, Any]]  # label -> probability after temperature scaling
    urgency: Mapped[float] = mapped_column(Float)
    flagged: Mapped[bool]  # by label or by threshold
    flags: Mapped[list[str]] = mapped_column(default=list)  # out_of_distribution
    ood_score: Mapped[float | None] = mapped_column(Float)
    shown: Mapped[bool] = mapped_column(default=True)  # at most one of an image is: what list and study page say
    explained: Mapped[str | None] = mapped_column(String(64))  # the label that the saliency map explains
    saliency: Mapped[dict[str, Any] | None]  # {"grid": [[..]], "geometry": {...}, "method": "hirescam"}
    timings: Mapped[dict[str, Any]]  # milliseconds by part
    software: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]
