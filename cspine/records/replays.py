"""Replays: a batch screened once more by another release, in the shadow, until it is promoted or cancelled.

What a study showed when the replay began is kept beside what the candidate says, so that the comparison stays the same
whatever happens to the study later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Select, func, insert, literal, select, update
from sqlalchemy.orm import Session, aliased

from cspine.database import lock, now
from cspine.errors import Usage
from cspine.reasons import Reason
from cspine.records import results, screenings, studies
from cspine.records.audit import audit
from cspine.records.screenings import Ring
from cspine.records.shadows import MOST_LOADS
from cspine.states import ENDED, IN_WORK, SHADOW, Disposition, Stage, State
from cspine.tables import Batch, ReceivedFile, Release, Replay, ReplayStudy, Screening, Study
from cspine.triage import Bucket

CHUNK = 500
RINGS = 16
SAME = "shown_by_it"  # left out: what the study shows comes from this release already


@dataclass(frozen=True)
class Begun:
    """A replay that was begun, or one that was under way already."""

    replay: Replay
    new: bool
    studies: int
    left_out: Mapping[str, int]  # why -> studies: a state that shows no answer, or `shown_by_it`
    rings: Sequence[Ring] = field(default=(), repr=False)


@dataclass(frozen=True)
class Progress:
    """How far a replay is, in studies."""

    studies: int
    done: int
    waiting: int  # still to be answered, or in work
    failed: int
    quarantined: int
    cancelled: int

    @property
    def complete(self) -> bool:
        """Say whether nothing is to come any more, whatever failed."""
        return self.waiting == 0


@dataclass(frozen=True)
class Row:
    """A replay with what its page and its line in the list say."""

    replay: Replay
    batch: Batch
    release: Release
    progress: Progress

    @property
    def state(self) -> str:
        """One word: promoted, cancelled, complete, stopped (the candidate cannot be loaded), running."""
        if self.replay.promoted_at:
            return "promoted"
        if self.replay.cancelled_at:
            return "cancelled"
        if self.progress.complete:
            return "complete"
        return "stopped" if self.replay.loads >= MOST_LOADS else "running"


@dataclass(frozen=True)
class Promoted:
    """What a promotion did: studies that show the candidate's answer now, and why others do not."""

    promoted: int
    unanswered: int  # the candidate failed on them
    moved: int  # retried, given a further file, or answered by another release since the replay began


def begin(session: Session, batch: Batch, release: Release, actor: str) -> Begun:
    """Begin to screen every study of a batch that shows an answer of another release once more by this one.

    One that is under way is returned as it is; where its release could not be loaded, it is tried anew. Raises `Usage`
    where the batch has no such study.
    """
    lock(session, f"replay {batch.id} {release.id}")
    under_way = session.scalars(
        select(Replay)
        .where(Replay.batch_id == batch.id, Replay.release_id == release.id)
        .where(Replay.cancelled_at.is_(None), Replay.promoted_at.is_(None))
    ).first()
    left_out = _left_out(session, batch, release)
    if under_way is not None:
        session.execute(update(Replay).where(Replay.id == under_way.id).values(loads=0, fault=None))
        return Begun(under_way, False, progress(session, under_way.id).studies, left_out, _rings(session, under_way))
    replay = Replay(batch_id=batch.id, release_id=release.id, created_at=now(session), created_by=actor)
    session.add(replay)
    session.flush()
    _freeze(session, replay)
    count = session.scalar(select(func.count()).where(ReplayStudy.replay_id == replay.id)) or 0
    if not count:
        raise Usage("no study of this batch shows an answer of another release")
    _add_shadows(session, replay)
    audit(session, actor, "replay", replay.id, {"batch": batch.id, "release": release.identity, "studies": count})
    return Begun(replay, True, count, left_out, _rings(session, replay))


def find(session: Session, beginning: str) -> Replay:
    """Return the replay of this id or unambiguous beginning of it; raises `Usage`."""
    query = select(Replay).where(Replay.id.startswith(beginning, autoescape=True)).limit(2)
    found = session.scalars(query).all() if beginning else []
    if len(found) != 1:
        raise Usage(f"{'no replay begins' if not found else 'several replays begin'} with {beginning!r}")
    return found[0]


def row(session: Session, replay_id: str) -> Row | None:
    """Return a replay with its batch, its release and its progress; null where there is none of this id."""
    found = session.execute(_rows().where(Replay.id == replay_id)).first()
    return Row(*found, progress(session, replay_id)) if found is not None else None


def listing(session: Session, batch_id: str | None = None, limit: int = 50) -> list[Row]:
    """Return the latest replays, of one batch or of all, the newest first."""
    query = _rows().order_by(Replay.created_at.desc(), Replay.id).limit(limit)
    if batch_id is not None:
        query = query.where(Replay.batch_id == batch_id)
    return [Row(*found, progress(session, found[0].id)) for found in session.execute(query).all()]


def progress(session: Session, replay_id: str) -> Progress:
    """Count the studies of a replay by where their shadows stand."""
    query = select(Screening.state, func.count()).where(Screening.replay_id == replay_id).group_by(Screening.state)
    counts = dict(session.execute(query).all())
    waiting = sum(count for state, count in counts.items() if state in IN_WORK)
    ended = {state: counts.get(state, 0) for state in ENDED}
    return Progress(sum(counts.values()), ended[State.DONE], waiting, ended[State.FAILED], ended[State.QUARANTINED],
                    ended[State.CANCELLED])  # fmt: skip


def cancel(session: Session, replay_id: str, actor: str) -> bool:
    """End a replay; what the candidate has said stays and is never shown. False where it has ended already."""
    ended = session.scalars(
        update(Replay)
        .where(Replay.id == replay_id, Replay.cancelled_at.is_(None), Replay.promoted_at.is_(None))
        .values(cancelled_at=now(session))
        .returning(Replay.id)
    ).all()
    if not ended:
        return False
    query = select(Screening.id).where(Screening.replay_id == replay_id, Screening.state.in_(IN_WORK))
    open_ = session.scalars(query.order_by(Screening.id)).all()
    for start in range(0, len(open_), CHUNK):
        screenings.cancel(session, open_[start : start + CHUNK], Reason.CANCELLED.value)
    audit(session, actor, "replay_cancel", replay_id, {"studies": len(open_)})
    return True


def promote(session: Session, replay_id: str, actor: str) -> Promoted:
    """Show what the candidate says, for every study that still shows what it showed when the replay began.

    One transaction: a reader sees all of the batch by the one release or by the other. Each result keeps its release,
    and what was shown before stays in the table. Raises `Usage` where the replay has ended or is not complete.
    """
    replay = session.scalars(select(Replay).where(Replay.id == replay_id).with_for_update()).one()
    if replay.promoted_at or replay.cancelled_at:
        raise Usage("this replay was promoted already" if replay.promoted_at else "this replay was cancelled")
    counts = progress(session, replay_id)
    if not counts.complete:
        raise Usage(f"{counts.waiting} of {counts.studies} studies are still to be answered by the candidate")
    study_ids = _promotable(session, replay)
    if not study_ids:
        raise Usage("no study of this replay can be promoted: the candidate answered none that still shows the same")
    for start in range(0, len(study_ids), CHUNK):
        _show(session, replay, study_ids[start : start + CHUNK])
    moment = now(session)
    session.execute(update(Replay).where(Replay.id == replay_id).values(promoted_at=moment, promoted_by=actor))
    done = Promoted(len(study_ids), counts.studies - counts.done, counts.done - len(study_ids))
    detail = {"promoted": done.promoted, "unanswered": done.unanswered, "moved": done.moved}
    audit(session, actor, "replay_promote", replay_id, detail)
    return done


def _rows() -> Select[Replay, Batch, Release]:
    return (
        select(Replay, Batch, Release)
        .join(Batch, Batch.id == Replay.batch_id)
        .join(Release, Release.id == Replay.release_id)
    )


def _studies_of(batch_id: str) -> Select[str | None]:
    """Select the studies of which a file came in this batch; what it only sent again belongs to an earlier one."""
    return select(ReceivedFile.study_id).where(
        ReceivedFile.batch_id == batch_id,
        ReceivedFile.study_id.is_not(None),
        ReceivedFile.disposition == Disposition.ACCEPTED,
    )


def _left_out(session: Session, batch: Batch, release: Release) -> dict[str, int]:
    same = func.coalesce(Screening.release_id == release.id, False)
    query = (
        select(Screening.state, same, func.count())
        .where(Screening.study_id.in_(_studies_of(batch.id)), Screening.shadow.is_(False))
        .group_by(Screening.state, same)
    )
    counts: dict[str, int] = {}
    for state, is_same, count in session.execute(query):
        if state != State.DONE or is_same:
            why = SAME if state == State.DONE else "in_work" if state in IN_WORK else str(state)
            counts[why] = counts.get(why, 0) + count
    return counts


def _freeze(session: Session, replay: Replay) -> None:
    """Write down what the batch's studies show now, in one statement, so that each is taken at one moment."""
    shown = (
        select(literal(replay.id), Study.id, Screening.changed_at, Screening.release_id, Study.label,
               Study.bucket == Bucket.POSITIVE.value, Study.urgency, literal(False))
        .join(Screening, Screening.study_id == Study.id)
        .where(Study.id.in_(_studies_of(replay.batch_id)), Screening.shadow.is_(False))
        .where(Screening.state == State.DONE, Screening.release_id != replay.release_id)
    )  # fmt: skip
    columns = ["replay_id", "study_id", "frozen_at", "before_release_id", "before_label", "before_flagged",
               "before_urgency", "promoted"]  # fmt: skip
    session.execute(insert(ReplayStudy).from_select(columns, shown, include_defaults=False))


def _add_shadows(session: Session, replay: Replay) -> None:
    moment = literal(replay.created_at, Screening.created_at.type)
    values = {
        "created_at": moment, "changed_at": moment, "release_id": literal(replay.release_id),
        "shadow": literal(True), "replay_id": literal(replay.id), "state": literal(State.READY.value),
        "lane": literal(SHADOW), "stage": literal(Stage.SCREEN.value), "cpu_only": literal(True),
        "tries": literal(0), "lone_attempts": literal(0),
    }  # fmt: skip
    own = [value.label(name) for name, value in values.items()]
    rows = select(ReplayStudy.study_id, *own).where(ReplayStudy.replay_id == replay.id).order_by(ReplayStudy.study_id)
    session.execute(insert(Screening).from_select(["study_id", *values], rows, include_defaults=False))


def _rings(session: Session, replay: Replay) -> list[Ring]:
    query = select(Screening.id).where(Screening.replay_id == replay.id, Screening.state == State.READY).limit(RINGS)
    return [Ring(Stage.SCREEN, SHADOW, id_) for id_ in session.scalars(query)]


def _promotable(session: Session, replay: Replay) -> Sequence[str]:
    """Lock and return the studies that the candidate answered and that still show what they showed."""
    shadow = aliased(Screening)
    query = (
        select(Screening.study_id)
        .join(ReplayStudy, ReplayStudy.study_id == Screening.study_id)
        .join(shadow, (shadow.study_id == Screening.study_id) & (shadow.replay_id == replay.id))
        .where(ReplayStudy.replay_id == replay.id, ReplayStudy.after_flagged.is_not(None), shadow.state == State.DONE)
        .where(Screening.shadow.is_(False), Screening.state == State.DONE)
        .where(Screening.changed_at == ReplayStudy.frozen_at, Screening.release_id == ReplayStudy.before_release_id)
        .order_by(Screening.id)
    )
    return session.scalars(query.with_for_update(of=Screening)).all()


def _show(session: Session, replay: Replay, study_ids: Sequence[str]) -> None:
    results.show(session, study_ids, replay.release_id)
    mine = (Screening.study_id.in_(study_ids), Screening.shadow.is_(False))
    session.execute(update(Screening).where(*mine).values(release_id=replay.release_id))
    own = (ReplayStudy.replay_id == replay.id, ReplayStudy.study_id.in_(study_ids))
    session.execute(update(ReplayStudy).where(*own).values(promoted=True))
    studies.refresh(session, *study_ids)
