"""Images: a study's files become images, one file in one transaction, under the claim of the worker that decoded it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from cspine.database import lock
from cspine.decoding import Header
from cspine.reasons import Reason
from cspine.states import Disposition
from cspine.tables import Image, ReceivedFile, Result


def undecoded(session: Session, study_id: str) -> Sequence[ReceivedFile]:
    """Return the study's files that are accepted and of which no image is stored yet."""
    query = select(ReceivedFile).where(
        ReceivedFile.study_id == study_id,
        ReceivedFile.disposition == Disposition.ACCEPTED,
        ReceivedFile.decoded.is_(False),
        ReceivedFile.blob_key.is_not(None),
    )
    return session.scalars(query.order_by(ReceivedFile.id)).all()


def count(session: Session, study_id: str) -> int:
    """Count the images of a study."""
    return session.scalar(select(func.count()).select_from(Image).where(Image.study_id == study_id)) or 0


def add(session: Session, file_id: int, header: Header, frames: Sequence[dict[str, Any]]) -> bool:
    """Store the images of a decoded file; false where another file holds the very same pictures under this UID.

    The frames are columns of `Image`. Such a twin of its study came in another header, and the first header stays; in
    another study it has images of its own, flagged `header_changed`. The same UID with other pictures makes images of
    their own, flagged `uid_conflict`; nothing is overwritten. A file that is decoded anew, since its pictures are gone,
    keeps its images and gives them new pictures.
    """
    file = session.get_one(ReceivedFile, file_id)
    flags = list(dict.fromkeys([*file.flags, *header.flags, *(flag for frame in frames for flag in frame["flags"])]))
    if header.sop_uid is not None:
        lock(session, f"sop {header.sop_uid}")
    others = _same_uid(session, file, header.sop_uid)
    pictures = [frame["pixel_sha256"] for frame in frames]
    twins = {id_: study_id for id_, (study_id, hashes) in others.items() if hashes == pictures}
    twin = next((id_ for id_, study_id in twins.items() if study_id == file.study_id), None)
    if twin is not None:
        file.disposition, file.duplicate_of = Disposition.DUPLICATE, twin
        file.flags = [*flags, Reason.HEADER_CHANGED.value]
        return False
    conflict = [Reason.UID_CONFLICT.value] if len(others) > len(twins) else []
    conflict += [Reason.HEADER_CHANGED.value] if twins else []
    file.decoded, file.flags = True, [*flags, *conflict]
    meta = header.meta
    known = {image.frame: image for image in session.scalars(select(Image).where(Image.file_id == file.id))}
    for frame in frames:
        image = known.get(frame["frame"]) or Image(study_id=file.study_id, file_id=file.id)
        columns = frame | {
            "series_uid": header.series_uid, "sop_uid": header.sop_uid, "series_number": meta.series_number,
            "instance_number": meta.instance_number, "body_part": meta.body_part, "view": meta.view,
            "flags": list(dict.fromkeys([*header.flags, *frame["flags"], *conflict])),
        }  # fmt: skip
        for name, value in columns.items():
            setattr(image, name, value)
        session.add(image)
    session.flush()
    return True


def named(session: Session, keys: Sequence[str]) -> set[str]:
    """Return those of some keys, of one file's pictures, that an image names."""
    columns = (Image.canonical_key, Image.preview_key, Image.thumbnail_key)
    rows = session.execute(select(*columns).where(or_(*(column.in_(keys) for column in columns))))
    return {key for row in rows for key in row if key in set(keys)}


def refuse(session: Session, file_id: int, disposition: Disposition, reason: Reason) -> None:
    """Record that a file is no image, or that its picture cannot be used; its study goes on with the others."""
    file = session.get_one(ReceivedFile, file_id)
    file.disposition, file.reason = disposition, reason.value


def unanswered(session: Session, study_ids: Sequence[str], release_id: int, preprocessing: str) -> Sequence[Image]:
    """Return the images of some studies of which this release has not said anything under this preprocessing."""
    answered = select(Result.image_id).where(
        Result.image_id == Image.id, Result.release_id == release_id, Result.preprocessing == preprocessing
    )
    query = select(Image).where(Image.study_id.in_(study_ids), ~answered.exists()).order_by(Image.id)
    return session.scalars(query).all()


def _same_uid(session: Session, file: ReceivedFile, sop_uid: str | None) -> dict[int, tuple[str, list[str]]]:
    """Return study and hashes of the pictures of every other file whose images carry this UID, by the file's id."""
    if sop_uid is None:
        return {}
    query = (
        select(Image.file_id, Image.study_id, Image.pixel_sha256)
        .where(Image.sop_uid == sop_uid, Image.file_id != file.id)
        .order_by(Image.file_id, Image.frame)
    )
    found: dict[int, tuple[str, list[str]]] = {}
    for other, study_id, sha256 in session.execute(query):
        found.setdefault(other, (study_id, []))[1].append(sha256)
    return found
