"""What `/metrics` says of the work as it stands: each figure from an index, none by a look at what is done.

Only counts, ages and codes come out of here: no name, no id, no text that a person wrote.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.reasons import Reason
from cspine.records import notes
from cspine.records.claims import WORK
from cspine.states import SHADOW, Stage, State
from cspine.tables import Batch, Heartbeat, ReceivedFile, Screening, Study

OTHER = "other"  # stands for whatever is no code of ours
NONE = "none"
DUE = {state: stage for stage, (state, _) in WORK.items()}
UNANSWERED = (State.WAITING, State.FAILED, State.QUARANTINED, State.CANCELLED)
CODES = frozenset(reason.value for reason in Reason)


@dataclass(frozen=True)
class Due:
    """The work of a stage that waits in one lane, and how many seconds its oldest has waited for this stage."""

    stage: Stage
    lane: str
    studies: int
    oldest: float


@dataclass(frozen=True)
class Count:
    """So many things that carry these labels."""

    labels: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Unread:
    """The studies of a bucket that nobody has read, and how many seconds ago the oldest was received."""

    bucket: str
    studies: int
    oldest: float


@dataclass(frozen=True)
class Alive:
    """The processes of a kind that were alive lately, and how many seconds ago the last one said so."""

    kind: str
    processes: int
    last: float


def code(reason: str | None) -> str:
    """Return a reason's code as a label: a column may hold what a later version, or a person, has written."""
    return NONE if reason is None else reason if reason in CODES else OTHER


def due(session: Session) -> list[Due]:
    """Return what waits for a stage and may be claimed, by stage and lane."""
    query = (
        select(Screening.state, Screening.lane, func.count(), func.min(Screening.changed_at))
        .where(Screening.state.in_(list(DUE)), Screening.lane != SHADOW)
        .group_by(Screening.state, Screening.lane)
    )
    moment = now(session)
    return [Due(DUE[State(state)], lane, count, _seconds(moment, oldest))
            for state, lane, count, oldest in session.execute(query)]  # fmt: skip


def states(session: Session) -> list[Count]:
    """Count the screenings that are not done, by state and lane; a replay's shadows have a lane of their own."""
    wanted = [state for state in State if state is not State.DONE]
    query = (
        select(Screening.state, Screening.lane, func.count())
        .where(Screening.state.in_(wanted))
        .group_by(Screening.state, Screening.lane)
    )
    return [Count((state, lane), count) for state, lane, count in session.execute(query)]


def unanswered(session: Session) -> list[Count]:
    """Count the shown screenings that wait for another try or were given up, by state, stage and reason."""
    query = (
        select(Screening.state, Screening.stage, Screening.reason, func.count())
        .where(Screening.state.in_(UNANSWERED), Screening.lane != SHADOW)
        .group_by(Screening.state, Screening.stage, Screening.reason)
    )
    return merged(((state, stage, code(reason)), count) for state, stage, reason, count in session.execute(query))


def set_aside(session: Session) -> list[Count]:
    """Count the received files that belong to no study's work, by the ledger's bucket and reason."""
    query = (
        select(ReceivedFile.disposition, ReceivedFile.reason, func.count())
        .where(text("disposition <> 'accepted'"))  # as the partial index has it, else it is not used
        .group_by(ReceivedFile.disposition, ReceivedFile.reason)
    )
    return merged(((bucket, code(reason)), count) for bucket, reason, count in session.execute(query))


def unbalanced(session: Session) -> int:
    """Count the batches whose ledger did not add up when the sweep last checked it."""
    return session.scalar(select(func.count()).where(Batch.unbalanced_since.is_not(None))) or 0


def unread(session: Session) -> list[Unread]:
    """Return the triage list by bucket; `overdue` is made by the list itself and counts here as what it was."""
    query = (
        select(Study.bucket, func.count(), func.min(Study.received_at))
        .where(Study.read_at.is_(None))
        .group_by(Study.bucket)
    )
    moment = now(session)
    return [Unread(bucket, count, _seconds(moment, oldest)) for bucket, count, oldest in session.execute(query)]


def alive(session: Session, seconds: float) -> list[Alive]:
    """Return the kinds of processes that have been heard of in the last day; alive are those of the last seconds."""
    moment = now(session)
    kinds: dict[str, list[float]] = {}
    for kind, at in session.execute(select(Heartbeat.kind, Heartbeat.at).where(Heartbeat.kind != notes.KIND)):
        kinds.setdefault(kind, []).append(_seconds(moment, at))
    return [Alive(kind, sum(age <= seconds for age in ages), min(ages)) for kind, ages in sorted(kinds.items())]


def faults(session: Session, seconds: float) -> list[Count]:
    """Count the live processes that say what keeps them from working, by kind and reason."""
    moment = now(session)
    rows = session.execute(select(Heartbeat.kind, Heartbeat.at, Heartbeat.detail).where(Heartbeat.detail.is_not(None)))
    return merged(
        ((kind, code(detail["fault"])), 1)
        for kind, at, detail in rows
        if _seconds(moment, at) <= seconds and detail and "fault" in detail
    )


def merged(pairs: Iterable[tuple[tuple[str, ...], int]]) -> list[Count]:
    """Add up what has the same labels."""
    found: dict[tuple[str, ...], int] = {}
    for labels, count in pairs:
        found[labels] = found.get(labels, 0) + count
    return [Count(labels, count) for labels, count in found.items()]


def _seconds(moment: datetime, since: datetime | None) -> float:
    """Return the seconds since a time; none where a clock was set and it lies ahead."""
    return max(0.0, (moment - since).total_seconds()) if since else 0.0
