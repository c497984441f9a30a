"""Results: what a release says of images, written only for screenings that their worker still held."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from cspine import __version__, preprocessing
from cspine.database import now
from cspine.records.claims import Held, Member
from cspine.tables import Image, Release, Result


def add(session: Session, held: Held, kept: Iterable[Member], answers: Mapping[int, list[dict[str, Any]]], *,
        shown: bool = True) -> None:  # fmt: skip
    """Write the answers, columns of `Result` by screening, of the members that were kept.

    From then on their images show what this release says of them, whoever asked it first and whenever. A shadow, or a
    study that is not done yet, shows nothing of it.
    """
    kept = list(kept)
    if not kept:
        return
    assert held.release_id is not None
    if shown:
        _hide_others(session, [member.study_id for member in kept], held.release_id)
    common = {"release_id": held.release_id, "created_at": now(session), "software": __version__, "shown": shown}
    rows = [
        answer | common | {"attempt_id": member.attempt_id}
        for member in kept
        for answer in answers.get(member.screening_id, ())
    ]
    if rows:
        _insert(session, rows)
    if shown:
        _show(session, [member.study_id for member in kept], held.release_id)


def _insert(session: Session, rows: list[dict[str, Any]]) -> None:
    """Insert answers; one that is there already stays as it is.

    A shadow and the shown screening of a study may be asked the same by the same release at the same time. Both go by
    the images' order, so that none waits for the other in a circle.
    """
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    query = dialect.insert(Result).on_conflict_do_nothing(index_elements=["image_id", "release_id", "preprocessing"])
    session.execute(query, sorted(rows, key=lambda row: int(row["image_id"])))


def show(session: Session, study_ids: Sequence[str], release_id: int) -> None:
    """Show what a release says of the studies' images, and nothing else."""
    _hide_others(session, study_ids, release_id)
    _show(session, study_ids, release_id)


def _hide_others(session: Session, study_ids: Sequence[str], release_id: int) -> None:
    others = or_(Result.release_id != release_id, Result.preprocessing != preprocessing.VERSION)
    query = update(Result).where(Result.image_id.in_(_images(study_ids)), Result.shown, others)
    session.execute(query.values(shown=False).execution_options(synchronize_session=False))


def _show(session: Session, study_ids: Sequence[str], release_id: int) -> None:
    own = (Result.release_id == release_id, Result.preprocessing == preprocessing.VERSION, Result.shown.is_(False))
    query = update(Result).where(Result.image_id.in_(_images(study_ids)), *own)
    session.execute(query.values(shown=True).execution_options(synchronize_session=False))


def _images(study_ids: Sequence[str]) -> Select[int]:
    return select(Image.id).where(Image.study_id.in_(study_ids))


def flags_of_files(session: Session, file_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the flags of some files' images, those of the results that are shown included."""
    query = (
        select(Image.file_id, Image.flags, Result.flags)
        .outerjoin(Result, (Result.image_id == Image.id) & Result.shown)
        .where(Image.file_id.in_(file_ids))
        .order_by(Image.id)
    )
    flags: dict[int, list[str]] = {}
    for file_id, own, of_result in session.execute(query):
        flags[file_id] = list(dict.fromkeys([*flags.get(file_id, []), *own, *(of_result or [])]))
    return flags


def releases_shown(session: Session, study_ids: Sequence[str]) -> dict[str, Release]:
    """Return the release of what each study shows: one that is back in work still shows its earlier answer."""
    query = (
        select(Image.study_id, Release)
        .join(Result, Result.image_id == Image.id)
        .join(Release, Release.id == Result.release_id)
        .where(Image.study_id.in_(study_ids), Result.shown)
        .order_by(Result.id)
    )
    return dict(session.execute(query).all())
