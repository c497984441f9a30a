"""Submissions: each upload form is one job, however often it is sent.

A form is done with once all of its files are stored, and not before: one whose transfer broke off, or that the server
did not survive, is taken when it comes again, into the batch that it had.
"""

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
    """Return the batch that the form's files go into; or the submission of the very same form that has ended."""
    moment, key = now(session), _sha256(nonce)
    earlier = session.get(Submission, key)
    if earlier is not None:
        return _ended_or_batch(session, earlier)
    session.execute(delete(Submission).where(Submission.created_at < moment - FORGET))
    try:
        with session.begin_nested():
            batch = batches.get_or_create(session, name, lane, by=actor)
            session.add(Submission(nonce_sha256=key, user_id=user_id, batch_id=batch.id, created_at=moment))
    except IntegrityError:  # the other click of a double click
        return _ended_or_batch(session, session.get_one(Submission, key))
    return batch


def finish(session: Session, nonce: str, study_id: str | None) -> None:
    """Note that every file of the form is stored, and the study where it was one picture by itself."""
    session.execute(
        update(Submission)
        .where(Submission.nonce_sha256 == _sha256(nonce))
        .values(finished_at=now(session), study_id=study_id)
    )


def _ended_or_batch(session: Session, earlier: Submission) -> Batch | Submission:
    return earlier if earlier.finished_at is not None else session.get_one(Batch, earlier.batch_id)


def _sha256(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()
