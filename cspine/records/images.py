"""Images: a study's files become images, under the claim of the worker that decoded them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cspine.database import lock
from cspine.decoding import Header
from cspine.reasons import Reason
from cspine.states import Disposition
from cspine.tables import Image, ReceivedFile, Result

_Twin = tuple[str, list[str]]  # a file's study, and the hashes of its pictures


@dataclass(frozen=True)
class DecodedFile:
    """A file of which pictures were made; the frames are columns of `Image`."""

    file_id: int
    header: Header
    frames: Sequence[dict[str, Any]]


def undecoded(session: Session, study_ids: Sequence[str]) -> dict[str, list[ReceivedFile]]:
    """Return the studies' files that are accepted and of which no image is stored yet, in the order of receipt."""
    query = select(ReceivedFile).where(
        ReceivedFile.study_id.in_(study_ids),
        ReceivedFile.disposition == Disposition.ACCEPTED,
        ReceivedFile.decoded.is_(False),
        ReceivedFile.blob_key.is_not(None),
    )
    found: dict[str, list[ReceivedFile]] = {id_: [] for id_ in study_ids}
    for file in session.scalars(query.order_by(ReceivedFile.id)):
        assert file.study_id is not None
        found[file.study_id].append(file)
    return found


def counts(session: Session, study_ids: Sequence[str]) -> dict[str, int]:
    """Count the images of some studies."""
    query = select(Image.study_id, func.count()).where(Image.study_id.in_(study_ids)).group_by(Image.study_id)
    return dict.fromkeys(study_ids, 0) | dict(session.execute(query).all())


def add(session: Session, decoded: Sequence[DecodedFile]) -> set[int]:
    """Store the images of decoded files; return the files that have some now.

    One has none where another file of its study holds the very same pictures under the same UID: it came in another
    header, and the first header stays. Such a twin in another study has images of its own, flagged `header_changed`.
    The same UID with other pictures makes images of their own, flagged `uid_conflict`; nothing is overwritten. A file
    that is decoded anew, since its pictures are gone, keeps its images and gives them new pictures.
    """
    if not decoded:
        return set()
    uids = {one.header.sop_uid for one in decoded if one.header.sop_uid is not None}
    lock(session, *(f"sop {uid}" for uid in uids))
    ids = [one.file_id for one in decoded]
    files = {file.id: file for file in session.scalars(select(ReceivedFile).where(ReceivedFile.id.in_(ids)))}
    known: dict[tuple[int, int], Image] = {
        (image.file_id, image.frame): image for image in session.scalars(select(Image).where(Image.file_id.in_(ids)))
    }
    same = _same_uid(session, uids)
    stored = set()
    for one in decoded:
        if _add(session, one, files[one.file_id], same[one.header.sop_uid], known):
            stored.add(one.file_id)
    session.flush()
    return stored


def _add(session: Session, one: DecodedFile, file: ReceivedFile, same: dict[int, _Twin],
         known: dict[tuple[int, int], Image]) -> bool:  # fmt: skip
    """Store the images of one file, beside those of the same UID; false where it is the twin of one of them."""
    header, frames = one.header, one.frames
    flags = list(dict.fromkeys([*file.flags, *header.flags, *(flag for frame in frames for flag in frame["flags"])]))
    pictures = [frame["pixel_sha256"] for frame in frames]
    others = {id_: twin for id_, twin in same.items() if id_ != file.id and header.sop_uid is not None}
    twins = {id_: study_id for id_, (study_id, hashes) in others.items() if hashes == pictures}
    twin = next((id_ for id_, study_id in twins.items() if study_id == file.study_id), None)
    if twin is not None:
        file.disposition, file.duplicate_of = Disposition.DUPLICATE, twin
        file.flags = [*flags, Reason.HEADER_CHANGED.value]
        return False
    assert file.study_id is not None
    same[file.id] = (file.study_id, pictures)  # for the files that come after it
    conflict = [Reason.UID_CONFLICT.value] if len(others) > len(twins) else []
    conflict += [Reason.HEADER_CHANGED.value] if twins else []
    file.decoded, file.flags = True, [*flags, *conflict]
    meta = header.meta
    for frame in frames:
        columns = frame | {
            "series_uid": header.series_uid, "sop_uid": header.sop_uid, "series_number": meta.series_number,
            "instance_number": meta.instance_number, "body_part": meta.body_part, "view": meta.view,
            "flags": list(dict.fromkeys([*header.flags, *frame["flags"], *conflict])),
        }  # fmt: skip
        image = known.get((file.id, frame["frame"]))
        if image is None:
            session.add(Image(study_id=file.study_id, file_id=file.id, **columns))
            continue
        for name, value in columns.items():
            setattr(image, name, value)
    return True


def blob_keys(session: Session, file_ids: Sequence[int]) -> set[str]:
    """Return the keys of the blobs that the images of some files name."""
    query = select(Image.canonical_key, Image.preview_key, Image.thumbnail_key).where(Image.file_id.in_(file_ids))
    return {key for row in session.execute(query) for key in row}


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


def _same_uid(session: Session, sop_uids: Collection[str]) -> dict[str | None, dict[int, _Twin]]:
    """Return study and hashes of the pictures of every file whose images carry one of the UIDs, by UID and file."""
    found: dict[str | None, dict[int, _Twin]] = defaultdict(dict)
    if not sop_uids:
        return found
    query = (
        select(Image.sop_uid, Image.file_id, Image.study_id, Image.pixel_sha256)
        .where(Image.sop_uid.in_(sop_uids))
        .order_by(Image.file_id, Image.frame)
    )
    for uid, file_id, study_id, sha256 in session.execute(query):
        found[uid].setdefault(file_id, (study_id, []))[1].append(sha256)
    return found
