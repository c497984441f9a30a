"""Results: what a release says of images, written only for screenings that their worker still held."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import insert, or_, select
from sqlalchemy.orm import Session

from cspine import __version__
from cspine.database import now
from cspine.records.claims import Held, Member
from cspine.tables import Attempt, Image, Release, Result, Screening


def add(session: Session, held: Held, kept: Iterable[Member], answers: Mapping[int, list[dict[str, Any]]]) -> None:
    """Write the answers, columns of `Result` by screening, of the members that were kept."""
    common = {"release_id": held.release_id, "created_at": now(session), "software": __version__}
    rows = [
        answer | common | {"attempt_id": member.attempt_id}
        for member in kept
        for answer in answers.get(member.screening_id, ())
    ]
    if rows:
        session.execute(insert(Result), rows)


def flags_of_files(session: Session, file_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the flags of some files' images, those of their latest results that are no replay's included."""
    query = (
        select(Image.id, Image.file_id, Image.flags, Result.flags)
        .outerjoin(Result, Result.image_id == Image.id)
        .outerjoin(Attempt, Attempt.id == Result.attempt_id)
        .outerjoin(Screening, Screening.id == Attempt.screening_id)
        .where(Image.file_id.in_(file_ids), or_(Screening.id.is_(None), Screening.shadow.is_(False)))
        .order_by(Result.id)
    )
    latest = {image_id: (file_id, [*own, *(of_result or [])])
              for image_id, file_id, own, of_result in session.execute(query)}  # fmt: skip
    flags: dict[int, list[str]] = {}
    for file_id, found in latest.values():
        flags[file_id] = list(dict.fromkeys([*flags.get(file_id, []), *found]))
    return flags


def releases_shown(session: Session, study_ids: Sequence[str]) -> dict[str, Release]:
    """Return the release of each study's latest result that is no replay's: a study back in work still shows it."""
    query = (
        select(Image.study_id, Release)
        .join(Result, Result.image_id == Image.id)
        .join(Release, Release.id == Result.release_id)
        .join(Attempt, Attempt.id == Result.attempt_id)
        .join(Screening, Screening.id == Attempt.screening_id)
        .where(Image.study_id.in_(study_ids), Screening.shadow.is_(False))
        .order_by(Result.id)
    )
    return dict(session.execute(query).all())
