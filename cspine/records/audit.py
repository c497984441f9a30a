"""The audit: who did what to what, append-only; it never holds patient data."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from cspine.database import now
from cspine.errors import Usage
from cspine.tables import Audit
from cspine.tables.queue import REASON


def audit(session: Session, actor: str, action: str, subject: str | None = None,
          detail: Mapping[str, Any] | None = None) -> None:  # fmt: skip
    """Write down an action in the transaction that does it."""
    session.add(
        Audit(at=now(session), actor=actor, action=action, subject=subject, detail=dict(detail) if detail else None)
    )


def written(reason: str | None) -> str:
    """Return what a person gives as the reason of an action, without the blanks around it.

    Raises `Usage` where it is empty, longer than its column, or has characters that no page shows.
    """
    reason = (reason or "").strip()
    if not 0 < len(reason) <= REASON or not reason.isprintable():
        raise Usage(f"a reason has 1 to {REASON} printable characters")
    return reason
