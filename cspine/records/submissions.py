"""Submissions: each upload form is one job, however often it is sent."""

import hashlib
from datetime import timedelta

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.records import batches
from cspine.tables import Batch, Submission

FORGET = timedelta(days=7)


def begin(session: Session, nonce: str, user_id: int, actor: str, name: str, lane: str) -> Batch | Submission:
    """Return the batch that the form's files go into; or the earlier submission of the very same form."""
    moment, key = now(session), _sha256(nonce)
    earlier = session.get(Submission, key)
    if earlier is not None:
        return earlier
    session.execute(delete(Submission).where(Submission.created_at < moment - FORGET))
    try:
        with session.begin_nested():
            batch = batches.get_or_create(session, name, lane, by=actor)
            session.add(Submission(nonce_sha256=key, user_id=user_id, batch_id=batch.id, created_at=moment))
    except IntegrityError:  # the other click of a double click
        return session.get_one(Submission, key)
    return batch


def note_study(session: Session, nonce: str, study_id: str) -> None:
    """Note that the form was one picture by itself, of this study."""
    session.execute(update(Submission).where(Submission.nonce_sha256 == _sha256(nonce)).values(study_id=study_id))


def forget(session: Session, nonce: str) -> None:
    """Forget a form whose transfer broke off, so that it can be sent again."""
    session.execute(delete(Submission).where(Submission.nonce_sha256 == _sha256(nonce)))


def _sha256(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()
