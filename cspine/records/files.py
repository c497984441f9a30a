"""Received files as the pages name them."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cspine.tables import ReceivedFile


def first_names(session: Session, study_ids: Sequence[str]) -> dict[str, str]:
    """Return the name of each study's first file; a loose picture has no other name."""
    first = (
        select(func.min(ReceivedFile.id)).where(ReceivedFile.study_id.in_(study_ids)).group_by(ReceivedFile.study_id)
    )
    query = select(ReceivedFile.study_id, ReceivedFile.name).where(ReceivedFile.id.in_(first))
    return {study_id: name for study_id, name in session.execute(query) if study_id is not None}


def kept(session: Session, study_id: str, file_id: int) -> ReceivedFile | None:
    """Return a file of this study whose bytes are kept, or null where the study has none of this id."""
    query = select(ReceivedFile).where(
        ReceivedFile.id == file_id, ReceivedFile.study_id == study_id, ReceivedFile.blob_key.is_not(None)
    )
    return session.scalars(query).one_or_none()
