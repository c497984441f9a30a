"""Shadows: the screenings of replays, claimed only when nothing else is due, answered without being shown.

They lie in a lane of their own that no claim for people's work looks at, and a worker of its own takes them, so that a
candidate that fails, hangs or kills its process costs no shown study anything. They keep the hours and the pauses of
the lane `overnight`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from cspine import lanes, preprocessing, triage
from cspine.database import now
from cspine.records import claims, pauses, studies
from cspine.records.claims import CPU, Candidate, Held, Member
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import SHADOW, Lane, Stage, State
from cspine.tables import Image, Release, Replay, ReplayStudy, Result, Screening
from cspine.tables.queue import FAULT

MOST_LOADS = 3  # of a candidate without success; then its replay stops until somebody begins it again
DUE = (State.RECEIVED, State.READY)


class Obstacle(StrEnum):
    """Why no shadow is claimed."""

    CLOSED = "closed"  # the lane overnight, or the queue, is paused, or its window is not open
    OTHER_WORK = "other_work"  # a study waits for a worker


@dataclass(frozen=True)
class Turn:
    """The replay whose turn it is, and the release that it is about."""

    replay_id: str
    release: Release


def turn(session: Session, settings: Settings) -> Turn | None:
    """Return the oldest replay that has a study to screen; null where other work is due, or the hour is not right."""
    if obstacle(session, settings) is not None:
        return None
    for replay, release in session.execute(
        select(Replay, Release)
        .join(Release, Release.id == Replay.release_id)
        .where(Replay.cancelled_at.is_(None), Replay.promoted_at.is_(None), Replay.loads < MOST_LOADS)
        .order_by(Replay.created_at, Replay.id)
    ):
        if session.scalar(select(exists().where(*_ready(replay)))):
            return Turn(replay.id, release)
    return None


def claim(session: Session, replay_id: str, worker: str, settings: Settings) -> Held | None:
    """Claim shadows of a replay, at most `screen_batch`; null where other work has come in the meantime."""
    replay = session.get_one(Replay, replay_id)
    if obstacle(session, settings) is not None:
        return None
    rows = claims.few(session, _pick(session, replay, settings.screen_batch), settings)
    return claims.hold(session, rows, Stage.SCREEN, worker, CPU, replay.release_id, settings)


def due(session: Session, settings: Settings, limit: int) -> list[Ring]:
    """Return some shadows that may be claimed now, for the sweep to ring for."""
    own = turn(session, settings)
    if own is None:
        return []
    query = select(Screening.id).where(*_ready(session.get_one(Replay, own.replay_id))).limit(limit)
    return [Ring(Stage.SCREEN, SHADOW, id_) for id_ in session.scalars(query)]


def answered(session: Session, members: Iterable[Member], release_id: int) -> None:
    """Note what the candidate says of studies whose shadows are done, beside what they showed."""
    replay_of = dict(
        session.execute(
            select(Screening.study_id, Screening.replay_id).where(
                Screening.id.in_([member.screening_id for member in members])
            )
        ).all()
    )
    verdicts = _verdicts(session, list(replay_of), release_id)
    rows = [
        {"replay_id": replay_id, "study_id": study_id, "after_label": verdicts[study_id].label,
         "after_flagged": verdicts[study_id].bucket is triage.Bucket.POSITIVE,
         "after_urgency": verdicts[study_id].urgency}
        for study_id, replay_id in sorted(replay_of.items())
    ]  # fmt: skip
    if rows:
        session.execute(update(ReplayStudy), rows)


def begin_load(session: Session, replay_id: str) -> bool:
    """Count a load before it begins, so that a candidate that kills its worker is not loaded for ever."""
    query = (
        update(Replay)
        .where(Replay.id == replay_id, Replay.loads < MOST_LOADS)
        .values(loads=Replay.loads + 1)
        .returning(Replay.id)
    )
    return session.execute(query).first() is not None


def loaded(session: Session, replay_id: str) -> None:
    """Note that the candidate was loaded."""
    session.execute(update(Replay).where(Replay.id == replay_id).values(loads=0, fault=None))


def not_loaded(session: Session, replay_id: str, words: str, *, final: bool) -> None:
    """Note why the candidate was not loaded; `final`: the same bytes would fail again."""
    values = {"fault": words[:FAULT]} | ({"loads": MOST_LOADS} if final else {})
    session.execute(update(Replay).where(Replay.id == replay_id).values(**values))


def spare(session: Session, replay_id: str) -> None:
    """Take back a load that a service broke off: no fault of the candidate."""
    query = update(Replay).where(Replay.id == replay_id, Replay.loads.between(1, MOST_LOADS))
    session.execute(query.values(loads=Replay.loads - 1))


def obstacle(session: Session, settings: Settings) -> Obstacle | None:
    """Say what keeps every shadow waiting now; null where nothing does."""
    open_ = lanes.open_lanes(now(session), settings, pauses.closed_lanes(session))
    if Lane.OVERNIGHT not in open_:
        return Obstacle.CLOSED
    due_ = (Screening.state.in_(DUE), Screening.lane.in_([lane.value for lane in open_]), Screening.shadow.is_(False))
    return Obstacle.OTHER_WORK if session.scalar(select(exists().where(*due_))) else None


def _ready(replay: Replay) -> tuple[ColumnElement[bool], ...]:
    """The shadows of a replay that wait; all were made at its time, so that the index of the work finds them."""
    return (
        Screening.state == State.READY, Screening.lane == SHADOW, Screening.created_at == replay.created_at,
        Screening.replay_id == replay.id,
    )  # fmt: skip


def _pick(session: Session, replay: Replay, limit: int) -> Sequence[Candidate]:
    """Lock what is to be taken: those that were in a claim that crashed by their groups, after all others.

    A candidate that crashes on some studies shall answer the rest first.
    """
    free = claims.candidates(State.READY).where(*_ready(replay), Screening.group_id.is_(None))
    query = free.order_by(Screening.id).limit(limit).with_for_update(skip_locked=True)
    if rows := session.execute(query).all():
        return rows
    group = session.scalar(select(Screening.group_id).where(*_ready(replay)).order_by(Screening.id).limit(1))
    if group is None:
        return []
    whole = claims.candidates(State.READY).where(*_ready(replay), Screening.group_id == group)
    return session.execute(whole.order_by(Screening.id).with_for_update()).all()


def _verdicts(session: Session, study_ids: Sequence[str], release_id: int) -> dict[str, triage.Verdict]:
    """Judge studies by what one release says of them, as the list would."""
    answers: dict[str, list[triage.ImageAnswer]] = {study_id: [] for study_id in study_ids}
    own = (Result.image_id == Image.id) & (Result.release_id == release_id)
    query = (
        select(Image, Result)
        .outerjoin(Result, own & (Result.preprocessing == preprocessing.VERSION))
        .where(Image.study_id.in_(study_ids))
    )
    for image, result in session.execute(query):
        answers[image.study_id].append(studies.answer(image, result))
    return {
        study_id: triage.judge(triage.StudyFacts(State.DONE, None, images, rejected_files=0))
        for study_id, images in answers.items()
    }
