"""Retry, discard, cancel: what a person does with studies that have no answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.reasons import Reason
from cspine.records import screenings, studies
from cspine.records.audit import audit
from cspine.records.filters import GIVEN_UP, studies_of
from cspine.records.screenings import Ring
from cspine.states import RETRIABLE, Disposition, Stage
from cspine.tables import Batch, ReceivedFile, Screening


@dataclass(frozen=True)
class Retried:
    """What a retry did, or would do."""

    selected: int
    retried: int
    skipped: Sequence[dict[str, str]]
    dry_run: bool
    rings: Sequence[Ring] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return {
            "selected": self.selected,
            "retried": self.retried,
            "skipped": list(self.skipped),
            "dry_run": self.dry_run,
        }


def select_studies(session: Session, *, fingerprint: str | None = None, batch: Batch | None = None,
                   everything: bool = False) -> Sequence[str]:  # fmt: skip
    """Return the studies that failed or are quarantined: of a group, of a batch, or all."""
    query = select(Screening.study_id).where(Screening.state.in_(GIVEN_UP), Screening.shadow.is_(False))
    if fingerprint is not None:
        query = query.where(Screening.fingerprint == fingerprint)
    elif batch is not None:
        query = query.where(Screening.study_id.in_(studies_of(batch.id)))
    elif not everything:
        return []
    return session.scalars(query.order_by(Screening.id)).all()


def retry(session: Session, study_ids: Sequence[str], actor: str, *, dry_run: bool = False) -> Retried:
    """Send studies back to work, each by a compare-and-set, so that two people at once make one attempt."""
    rings, skipped = [], []
    for study_id in dict.fromkeys(study_ids):
        screening = screenings.shown(session, study_id)
        if why := _obstacle(session, screening):
            skipped.append({"study": study_id, "reason": why})
            continue
        assert screening is not None
        if dry_run:
            rings.append(Ring(Stage.PREPARE, screening.lane, screening.id))
        elif ring := screenings.restart(session, screening.id):
            rings.append(ring)
            studies.refresh(session, study_id)
        else:
            skipped.append({"study": study_id, "reason": "state_changed"})
    selected = len(dict.fromkeys(study_ids))
    if not dry_run and rings:
        audit(session, actor, "retry", None, {"retried": len(rings), "selected": selected})
    return Retried(selected, len(rings), skipped, dry_run, () if dry_run else rings)


def discard(session: Session, study_ids: Sequence[str], reason: str, actor: str) -> list[str]:
    """Take studies out of work for good, until somebody retries them; return those changed."""
    query = select(Screening.id).where(Screening.study_id.in_(study_ids), Screening.shadow.is_(False))
    changed = screenings.cancel(session, session.scalars(query).all(), Reason.CANCELLED.value)
    if changed:
        studies.refresh(session, *changed)
        for study_id in changed:
            audit(session, actor, "discard", study_id, {"reason": reason})
    return changed


def cancel_batch(session: Session, batch: Batch, actor: str) -> list[str]:
    """Take every study of a batch out of work that is not done; return those changed."""
    own = studies_of(batch.id).where(ReceivedFile.disposition != Disposition.DUPLICATE)
    query = select(Screening.id).where(Screening.study_id.in_(own), Screening.shadow.is_(False))
    changed = screenings.cancel(session, session.scalars(query).all(), Reason.CANCELLED.value)
    if changed:
        studies.refresh(session, *changed)
    session.execute(update(Batch).where(Batch.id == batch.id).values(cancelled_at=now(session)))
    audit(session, actor, "cancel_batch", batch.id, {"studies": len(changed)})
    return changed


def _obstacle(session: Session, screening: Screening | None) -> str | None:
    """Say why a study cannot be retried; null where it can."""
    if screening is None:
        return "unknown_study"
    if screening.state not in RETRIABLE:
        return f"is_{screening.state}"
    stored = session.scalar(
        select(ReceivedFile.id)
        .where(ReceivedFile.study_id == screening.study_id, ReceivedFile.blob_key.is_not(None))
        .limit(1)
    )
    return None if stored else Reason.BLOB_MISSING.value
