"""Studies: keeping the triage list's columns true, one study in full, marking as read."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from cspine import triage
from cspine.database import now
from cspine.records import announcements, history, results
from cspine.states import Disposition, State
from cspine.tables import (
    Announced,
    Attempt,
    Batch,
    Image,
    ReceivedFile,
    Release,
    Result,
    Review,
    Screening,
    Study,
    User,
    plain,
)

LAST = 2**31  # an image without a series or instance number stands after those that have one


@dataclass(frozen=True)
class ImageDetail:
    """An image and what the shown screening's release says of it."""

    image: Image
    result: Result | None


@dataclass(frozen=True)
class Detail:
    """Everything that the study page shows."""

    study: Study
    batch: Batch
    screening: Screening | None
    release: Release | None
    images: Sequence[ImageDetail]
    files: Sequence[ReceivedFile]
    attempts: Sequence[Attempt]


def refresh(session: Session, *study_ids: str) -> None:
    """Recompute what the triage list shows of these studies; called in the transaction that changed them.

    The caller holds the locks of their shown screenings: without them it would write down, after another one's
    answer, what it read before it. So nothing that happens to a shadow calls it.
    """
    session.flush()
    ids = list(dict.fromkeys(study_ids))
    told = select(Announced.id).where(Announced.study_uid == Study.study_uid).exists()
    shown = (Screening.study_id == Study.id) & Screening.shadow.is_(False)
    query = select(Study.id, Study.bucket, Screening.state, Screening.reason, told.label("told"))
    found = {row.id: row for row in session.execute(query.outerjoin(Screening, shown).where(Study.id.in_(ids)))}
    files = _files(session, ids)
    lacking = announcements.shortfalls(session, [row.id for row in found.values() if row.told])
    answers = _answers(session, ids)
    rows: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)  # by the columns that they write
    for study_id in ids:
        own = found[study_id]
        here, announced = lacking.get(study_id, (0, 0))
        verdict = triage.judge(
            triage.StudyFacts(
                state=State(own.state) if own.state else State.FAILED,
                reason=own.reason,
                images=answers[study_id],
                rejected_files=files[study_id].rejected,
                flags=tuple(files[study_id].flags),
                here=here,
                announced=announced,
            )
        )
        values = {
            "bucket": verdict.bucket.value, "reason": verdict.reason[:400], "label": verdict.label,
            "urgency": verdict.urgency,
            "probabilities": dict(verdict.probabilities) if verdict.probabilities is not None else None,
            "flags": list(verdict.flags), "thumbnail_key": verdict.thumbnail_key,
            "image_count": len(answers[study_id]),
        }  # fmt: skip
        # Somebody may have marked it as read before it had this answer.
        if verdict.bucket is triage.Bucket.POSITIVE and own.bucket != triage.Bucket.POSITIVE:
            values |= {"read_at": None, "read_by": None}
        rows[tuple(values)].append(values | {"own": study_id})
    for names, group in rows.items():
        table = plain(Study)
        session.connection().execute(
            update(table).where(table.c.id == bindparam("own")).values({name: bindparam(name) for name in names}), group
        )
    written = {row["own"]: row for group in rows.values() for row in group}
    for loaded in session.identity_map.values():  # what the session has in hand says what was written
        if isinstance(loaded, Study) and loaded.id in written:
            for name in written[loaded.id].keys() - {"own"}:
                set_committed_value(loaded, name, written[loaded.id][name])


def by_id(session: Session, study_id: str) -> Study | None:
    """Return the study of this id, or null."""
    return session.get(Study, study_id)


def station(session: Session, study_id: str) -> str | None:
    """Return the name of the device that made the study's first picture; null where it is unknown."""
    return session.scalar(select(Study.station).where(Study.id == study_id))


def image(session: Session, study_id: str, image_id: int) -> Image | None:
    """Return an image of this study, or null where the study has none of this id."""
    return session.scalars(select(Image).where(Image.id == image_id, Image.study_id == study_id)).one_or_none()


def detail(session: Session, study_id: str) -> Detail | None:
    """Return a study in full, or null where there is none of this id."""
    study = session.get(Study, study_id)
    if study is None:
        return None
    screening = session.scalars(
        select(Screening).where(Screening.study_id == study_id, Screening.shadow.is_(False))
    ).one_or_none()
    images = [ImageDetail(image, result) for image, result in _images(session, [study_id])]
    images.sort(key=lambda one: image_order(one.image))
    files = session.scalars(
        select(ReceivedFile).where(ReceivedFile.study_id == study_id).order_by(ReceivedFile.id)
    ).all()
    mine = history.attempts_of(screening.id) if screening else Attempt.screening_id.is_(None)
    attempts = session.scalars(select(Attempt).where(mine).order_by(Attempt.id)).all()
    own = session.get(Release, screening.release_id) if screening and screening.release_id else None
    return Detail(
        study=study,
        batch=session.get_one(Batch, study.batch_id),
        screening=screening,
        release=own or results.releases_shown(session, [study_id]).get(study_id),
        images=images,
        files=files,
        attempts=attempts,
    )


@dataclass
class _Files:
    rejected: int = 0
    flags: dict[str, None] = field(default_factory=dict)  # in the order of receipt


def _files(session: Session, study_ids: Sequence[str]) -> dict[str | None, _Files]:
    """Count the refused files of some studies and gather the flags, without a row in memory for each file."""
    query = (
        select(ReceivedFile.study_id, ReceivedFile.disposition, ReceivedFile.flags, func.count())
        .where(ReceivedFile.study_id.in_(study_ids))
        .group_by(ReceivedFile.study_id, ReceivedFile.disposition, ReceivedFile.flags)
        .order_by(func.min(ReceivedFile.id))
    )
    found: dict[str | None, _Files] = defaultdict(_Files)
    for study_id, disposition, flags, count in session.execute(query):
        found[study_id].rejected += count if disposition == Disposition.REJECTED else 0
        found[study_id].flags.update(dict.fromkeys(flags))
    return found


def image_order(image: Image) -> tuple[int, int, int]:
    """Return the key by which the images of a study are sorted: series, instance, frame."""
    return _order(image.series_number, image.instance_number, image.frame)


def _order(series: int | None, instance: int | None, frame: int) -> tuple[int, int, int]:
    return LAST if series is None else series, LAST if instance is None else instance, frame


def mark(session: Session, study_id: str, user: User, action: str, note: str | None = None) -> bool:
    """Mark a study as `read` or `unread`, with a review row; false where it already stood so (or does not exist)."""
    moment = now(session)
    read = action == "read"
    changed = session.execute(
        update(Study)
        .where(Study.id == study_id, Study.read_at.is_(None) if read else Study.read_at.is_not(None))
        .values(read_at=moment if read else None, read_by=user.name if read else None)
        .returning(Study.id)
    ).all()
    if changed:
        session.add(Review(study_id=study_id, user_id=user.id, action=action, note=note, created_at=moment))
    return bool(changed)


def _images(session: Session, study_ids: Sequence[str]) -> list[tuple[Image, Result | None]]:
    """Return the images of some studies, each with the result that it shows."""
    query = (
        select(Image, Result)
        .outerjoin(Result, (Result.image_id == Image.id) & Result.shown)
        .where(Image.study_id.in_(study_ids))
        .order_by(Image.id)
    )
    return [(image, result) for image, result in session.execute(query)]


def _answers(session: Session, study_ids: Sequence[str]) -> dict[str, list[triage.ImageAnswer]]:
    """Return what the images of some studies show, without their maps."""
    query = (
        select(Image.study_id, Image.series_number, Image.instance_number, Image.frame, Image.thumbnail_key,
               Image.flags, Result.flags.label("more"), Result.label, Result.probabilities, Result.urgency,
               Result.flagged)
        .outerjoin(Result, (Result.image_id == Image.id) & Result.shown)
        .where(Image.study_id.in_(study_ids))
        .order_by(Image.id)
    )  # fmt: skip
    found: dict[str, list[triage.ImageAnswer]] = defaultdict(list)
    for row in session.execute(query):
        flags = tuple(dict.fromkeys([*row.flags, *(row.more or [])]))
        said = {} if row.label is None else {"label": row.label, "probabilities": row.probabilities,
                                             "urgency": row.urgency, "flagged": row.flagged}  # fmt: skip
        order = _order(row.series_number, row.instance_number, row.frame)
        found[row.study_id].append(
            triage.ImageAnswer(order=order, flags=flags, thumbnail_key=row.thumbnail_key, **said)
        )
    return found


def answer(image: Image, result: Result | None) -> triage.ImageAnswer:
    """Return an image with a result of it, as the triage order takes them."""
    flags = tuple(dict.fromkeys([*image.flags, *(result.flags if result else [])]))
    if result is None:
        return triage.ImageAnswer(order=image_order(image), flags=flags, thumbnail_key=image.thumbnail_key)
    return triage.ImageAnswer(
        order=image_order(image),
        flags=flags,
        label=result.label,
        probabilities=result.probabilities,
        urgency=result.urgency,
        flagged=result.flagged,
        thumbnail_key=image.thumbnail_key,
    )
