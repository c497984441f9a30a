"""Freezing: what a person chose becomes the members of a bulk, each as it stands now; nothing is sent yet.

All members are written by one statement of the database, so that a hundred thousand of them need no loop.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, exists, func, insert, literal, select, update
from sqlalchemy.orm import Session

from cspine import __version__, canary, preprocessing
from cspine.database import now
from cspine.reasons import Reason
from cspine.records import history
from cspine.records.bulk_moves import HELD, PREVIEWED, RETRY, SKIPPED
from cspine.records.selections import Selection
from cspine.states import RETRIABLE, Disposition, Lane, State, sources
from cspine.tables import Bulk, BulkMember, Image, ReceivedFile, Result, Screening, Study, new_id

CHUNK = 500  # named studies in one statement
UNKNOWN = "unknown_study"
MOST_UNKNOWN = 1000
COLUMNS = ["bulk_id", "position", "screening_id", "fingerprint", "frozen_at", "was", "state", "reason"]


def freeze(session: Session, action: str, selection: Selection, actor: str, reason: str | None) -> str:
    """Write the preview of a retry or a discard, and return its id."""
    bulk = Bulk(id=new_id(), action=action, selection={}, state=PREVIEWED, reason=reason, software=__version__,
                created_at=now(session), created_by=actor)  # fmt: skip
    session.add(bulk)
    session.flush()
    named = list(dict.fromkeys(selection.studies))
    unknown: list[str] = []
    if not named:
        _insert(session, bulk, selection.conditions(), 0)
    for start in range(0, len(named), CHUNK):
        chunk = named[start : start + CHUNK]
        _insert(session, bulk, [Screening.study_id.in_(chunk), Screening.shadow.is_(False)], start)
        known = set(session.scalars(select(Screening.study_id).where(Screening.study_id.in_(chunk))))
        unknown += [study_id for study_id in chunk if study_id not in known]
    groups = _groups(session, bulk.id) if action == RETRY and selection.with_canary else {}
    bulk.canary = max(groups.values(), default=0)
    bulk.selection = {"how": selection.as_dict(), "groups": groups, "unknown": unknown[:MOST_UNKNOWN],
                      "unknown_count": len(unknown), "answered": _answered(session, bulk.id), "files": 0, "looked": 0,
                      "gone": 0}  # fmt: skip
    session.flush()
    return bulk.id


def size(session: Session, bulk_id: str) -> tuple[int, int]:
    """Return how many places the members take, and how many stored files a retry would read."""
    places = session.scalar(select(func.max(BulkMember.position)).where(BulkMember.bulk_id == bulk_id))
    files = [session.scalars(query.with_only_columns(func.count())).one() for query in _inputs(bulk_id)]
    return 0 if places is None else places + 1, sum(files)


def inputs(session: Session, bulk_id: str, positions: Sequence[int], limit: int) -> Sequence[Row[int, str]]:
    """Return stored files that a retry of the members at these places would read, each with its member's place.

    At most `limit` of each kind: a study may have thousands of files.
    """
    mine = BulkMember.position.in_(positions)
    return [row for query in _inputs(bulk_id) for row in session.execute(query.where(mine).limit(limit))]


def _inputs(bulk_id: str) -> tuple[Select[Any, Any], ...]:
    """Select the originals and the pictures that a retry would read.

    Of a file that is decoded already its pictures are there, or the study says that they are missing.
    """
    again = (ReceivedFile.decoded.is_(False) | (ReceivedFile.disposition == Disposition.REJECTED)
             | (Screening.reason == Reason.BLOB_MISSING))  # fmt: skip
    query = (
        select(BulkMember.position, ReceivedFile.blob_key)
        .join(Screening, Screening.id == BulkMember.screening_id)
        .join(ReceivedFile, ReceivedFile.study_id == Screening.study_id)
        .where(BulkMember.bulk_id == bulk_id, BulkMember.state == HELD, ReceivedFile.blob_key.is_not(None))
    )
    originals = query.where(again, ReceivedFile.disposition.in_((Disposition.ACCEPTED, Disposition.REJECTED)))
    pictures = query.where(~again, ReceivedFile.disposition == Disposition.ACCEPTED)
    pictures = pictures.join(Image, Image.file_id == ReceivedFile.id)
    return originals, pictures.with_only_columns(BulkMember.position, Image.canonical_key)


def note_inputs(session: Session, bulk_id: str, files: int, looked: int, gone: Sequence[int]) -> None:
    """Write down how many files were looked up, and skip the members of which one is not there."""
    for start in range(0, len(gone), CHUNK):
        mine = (BulkMember.bulk_id == bulk_id, BulkMember.position.in_(gone[start : start + CHUNK]))
        session.execute(update(BulkMember).where(*mine, BulkMember.state == HELD)
                        .values(state=SKIPPED, reason=Reason.BLOB_MISSING.value))  # fmt: skip
    bulk = session.get_one(Bulk, bulk_id)
    bulk.selection = {**bulk.selection, "files": files, "looked": looked, "gone": len(gone)}


def _insert(session: Session, bulk: Bulk, conditions: Sequence[ColumnElement[bool]], begin: int) -> None:
    """Write the members: in turn one of each group, those first that are answered soonest."""
    obstacle = _obstacle(bulk.action).label("obstacle")
    lane = case({one.value: number for number, one in enumerate(Lane)}, value=Screening.lane, else_=len(Lane))
    turn = func.row_number().over(
        partition_by=[Screening.fingerprint, obstacle.is_(None)], order_by=[lane, Screening.id]
    )
    chosen = (
        select(Screening.id, Screening.fingerprint, Screening.changed_at, Screening.state, obstacle, turn.label("turn"))
        .join(Study, Study.id == Screening.study_id)
        .where(*conditions)
        .subquery()
    )
    position = func.row_number().over(order_by=[chosen.c.turn, chosen.c.id]) - 1 + begin
    state = case((chosen.c.obstacle.is_(None), HELD), else_=SKIPPED)
    rows: Select[str, int, int, str, object, str, str, str] = select(
        literal(bulk.id),
        position,
        chosen.c.id,
        chosen.c.fingerprint,
        chosen.c.changed_at,
        chosen.c.state,
        state,
        chosen.c.obstacle,
    )
    session.execute(insert(BulkMember).from_select(COLUMNS, rows))


def _obstacle(action: str) -> ColumnElement[str | None]:
    """Say why a screening cannot be retried or discarded; null where it can."""
    possible = RETRIABLE if action == RETRY else sources(State.CANCELLED)
    stands = (Screening.state.not_in(possible), "is_" + Screening.state)
    if action != RETRY:
        return case(stands, else_=None)
    stored = exists().where(ReceivedFile.study_id == Screening.study_id, ReceivedFile.blob_key.is_not(None))
    return case(stands, (~stored, Reason.BLOB_MISSING.value), else_=None)


def _groups(session: Session, bulk_id: str) -> dict[str, int]:
    """Return how many of each group are tried first; a group that is small enough to be tried at once is left out."""
    query = (
        select(BulkMember.fingerprint, func.count(),
               func.sum(case((Screening.state == State.QUARANTINED, 1), else_=0)))
        .join(Screening, Screening.id == BulkMember.screening_id)
        .where(BulkMember.bulk_id == bulk_id, BulkMember.state == HELD, BulkMember.fingerprint.is_not(None))
        .group_by(BulkMember.fingerprint)
    )  # fmt: skip
    sizes = {one: canary.size(count, quarantined=quarantined > 0)
             for one, count, quarantined in session.execute(query).all() if one is not None}  # fmt: skip
    return {one: size for one, size in sizes.items() if size}


def _answered(session: Session, bulk_id: str) -> int:
    """Count the members of whose every picture the active release has given an answer before."""
    active = history.active(session)
    if active is None:
        return 0
    answer = exists().where(Result.image_id == Image.id, Result.release_id == active.id,
                            Result.preprocessing == preprocessing.VERSION)  # fmt: skip
    mine = Image.study_id == Screening.study_id
    undecoded = exists().where(ReceivedFile.study_id == Screening.study_id, ReceivedFile.decoded.is_(False),
                               ReceivedFile.disposition.in_((Disposition.ACCEPTED, Disposition.REJECTED)))  # fmt: skip
    query = (
        select(func.count())
        .select_from(BulkMember)
        .join(Screening, Screening.id == BulkMember.screening_id)
        .where(BulkMember.bulk_id == bulk_id, BulkMember.state == HELD, exists().where(mine),
               ~exists().where(mine, ~answer), ~undecoded)
    )  # fmt: skip
    return session.scalars(query).one()
