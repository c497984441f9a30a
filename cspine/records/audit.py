"""The audit: who did what to what, append-only; it never holds patient data."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from cspine.database import now
from cspine.tables import Audit


def audit(session: Session, actor: str, action: str, subject: str | None = None,
          detail: Mapping[str, Any] | None = None) -> None:  # fmt: skip
    """Write down an action in the transaction that does it."""
    session.add(
        Audit(at=now(session), actor=actor, action=action, subject=subject, detail=dict(detail) if detail else None)
    )
