"""People and what they did: users, tokens, reviews, audit; and the heartbeats of the processes."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cspine.tables.base import BigId, Table


class User(Table):
    """Somebody who may sign in."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    role: Mapped[str] = mapped_column(String(10))  # reader, admin
    password_hash: Mapped[str | None] = mapped_column(String(200))  # argon2; null: signs in by a one-time address only
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]


class Token(Table):
    """A one-time secret of which only the hash is kept."""

    __tablename__ = "token"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    purpose: Mapped[str] = mapped_column(String(10))  # signin
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    spent_at: Mapped[datetime | None]


class Review(Table):
    """What a reader said of a study; append-only, apart from the machine's answer."""

    __tablename__ = "review"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("study.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    action: Mapped[str] = mapped_column(String(12))  # read, unread
    note: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


class Audit(Table):
    """Who did what to what, when; append-only."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_at", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(80))  # user name, or "command line", or "system"
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str | None] = mapped_column(String(200))  # an id of ours, never patient data
    detail: Mapped[dict[str, Any] | None]


class Heartbeat(Table):
    """When a process was last alive; the sweep's and the workers' are read by /readyz."""

    __tablename__ = "heartbeat"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))  # sweep, prepare, screen
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any] | None]  # {"fault": "broken_release", ...}
