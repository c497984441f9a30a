"""Bulk retries and discards as a person sees them: the preview, the canary, what became of those that were sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cspine.forecast import Expected
from cspine.reasons import sentence
from cspine.records import bulk_moves, files, forecasts, history, selections
from cspine.records.selections import Selection
from cspine.settings import Settings
from cspine.states import IN_WORK, Lane, State
from cspine.tables import Bulk, BulkMember, Screening

SHOWN_SKIPPED, SHOWN_CANARIES, KEPT_STUDIES = 200, 30, 1000
SENTENCES = {
    bulk_moves.MOVED: "Somebody or something has moved it since it was chosen.",
    bulk_moves.ELSEWHERE: "Another retry tries a few of its group first; wait for what comes of it.",
    "unknown_study": "There is no such study.",
    **{f"is_{state.value}": f"It is {state.value}, so that there is nothing to do." for state in State},
}


@dataclass(frozen=True)
class Skip:
    """How many members were left out for one reason."""

    reason: str
    sentence: str
    count: int


@dataclass(frozen=True)
class CanaryStudy:
    """A study that was tried first, and where it stands."""

    study_id: str
    name: str  # of its first file
    state: str
    verdict: str  # running, succeeded, failed, overtaken
    reason: str | None
    sentence: str | None


@dataclass(frozen=True)
class BulkView:
    """Everything that the page of one retry or discard shows, in any of its states."""

    id: str
    action: str  # retry, discard
    state: str  # previewed, canary, released, stopped, done
    words: str  # what was chosen, a phrase
    selection: Selection
    reason: str | None  # of a discard
    outcome: str | None  # why it was stopped
    created_at: datetime
    created_by: str
    confirmed_at: datetime | None
    confirmed_by: str | None
    ended_at: datetime | None
    selected: int
    held: int  # that have not been sent: they wait, or were held back
    running: int  # of the canary, now
    sent: int  # the canary included
    first: int  # of them, those that ran first
    skipped: int
    skips: tuple[Skip, ...]
    skipped_studies: tuple[tuple[str, str], ...]  # study and reason, at most 200
    canary: int  # how many of a group run first; 0: all at once
    canaries: tuple[CanaryStudy, ...]  # at most 30
    progress: Mapping[str, int]  # those sent, by state; `waiting` is whatever is in work
    files: int  # stored files that a retry would read
    looked: int  # so many of them were looked up
    gone: int  # members of which one is not there
    answered: int  # members of whose every picture the active release has given an answer before
    release: str | None  # active now
    expected: Expected | None  # what sending the rest takes; null where nothing is left to be sent
    software: str


@dataclass(frozen=True)
class BulkRow:
    """A retry or a discard in a list."""

    id: str
    action: str
    state: str
    words: str
    canary: int
    outcome: str | None
    created_by: str
    confirmed_at: datetime | None
    selected: int


def view(session: Session, bulk_id: str, settings: Settings) -> BulkView | None:
    """Return one retry or discard as it stands, or null where there is none of this id."""
    bulk = session.get(Bulk, bulk_id)
    if bulk is None:
        return None
    kept = bulk.selection
    states = _by_state(session, bulk_id)
    canaries = _canaries(session, bulk) if bulk.confirmed_at is not None else ()
    skips = skips_of(session, bulk)
    held = states.get(bulk_moves.HELD, 0) + states.get(bulk_moves.FREE, 0)
    waits = bulk.action == bulk_moves.RETRY and held and bulk.state != bulk_moves.STOPPED
    return BulkView(
        id=bulk.id,
        action=bulk.action,
        state=bulk.state,
        words=selections.words(session, kept["how"]),
        selection=Selection.of(kept["how"], _named(session, bulk)),
        reason=bulk.reason,
        outcome=bulk.outcome,
        created_at=bulk.created_at,
        created_by=bulk.created_by,
        confirmed_at=bulk.confirmed_at,
        confirmed_by=bulk.confirmed_by,
        ended_at=bulk.ended_at,
        selected=sum(states.values()) + kept["unknown_count"],
        held=held,
        running=sum(one.verdict == "running" for one in canaries),
        sent=states.get(bulk_moves.SENT, 0) + states.get(bulk_moves.CANARY, 0),
        first=states.get(bulk_moves.CANARY, 0),
        skipped=sum(one.count for one in skips),
        skips=skips,
        skipped_studies=tuple(skipped(session, bulk_id, SHOWN_SKIPPED)),
        canary=bulk.canary,
        canaries=canaries,
        progress=_progress(session, bulk) if bulk.confirmed_at is not None else {},
        files=kept["files"],
        looked=kept["looked"],
        gone=kept["gone"],
        answered=kept["answered"],
        release=history.words(history.active(session)),
        expected=forecasts.expected(session, held, _lane(session, bulk_id), settings) if waits else None,
        software=bulk.software,
    )


def selected(session: Session, bulk_id: str) -> int:
    """Count what was chosen, those left out included."""
    unknown: int = session.get_one(Bulk, bulk_id).selection["unknown_count"]
    return sum(_by_state(session, bulk_id).values()) + unknown


def recent(session: Session, limit: int = 20,
           states: Sequence[str] = ("canary", "released", "stopped", "done")) -> list[BulkRow]:  # fmt: skip
    """Return the latest retries and discards in some states, the newest first."""
    query = select(Bulk).where(Bulk.state.in_(states)).order_by(Bulk.created_at.desc()).limit(limit)
    rows = session.scalars(query).all()
    count = select(BulkMember.bulk_id, func.count()).where(BulkMember.bulk_id.in_([row.id for row in rows]))
    counts: dict[str, int] = dict(session.execute(count.group_by(BulkMember.bulk_id)).all())
    return [
        BulkRow(row.id, row.action, row.state, selections.words(session, row.selection["how"]), row.canary, row.outcome,
                row.created_by, row.confirmed_at, counts.get(row.id, 0) + row.selection["unknown_count"])
        for row in rows
    ]  # fmt: skip


def skipped(session: Session, bulk_id: str, limit: int | None = None) -> list[tuple[str, str]]:
    """Return the studies that were left out, each with its reason."""
    bulk = session.get_one(Bulk, bulk_id)
    query = (
        select(Screening.study_id, BulkMember.reason)
        .join(Screening, Screening.id == BulkMember.screening_id)
        .where(BulkMember.bulk_id == bulk.id, BulkMember.state == bulk_moves.SKIPPED)
        .order_by(BulkMember.position)
        .limit(limit)
    )
    found = [(study_id, reason or bulk_moves.MOVED) for study_id, reason in session.execute(query)]
    return [*found, *((study_id, "unknown_study") for study_id in bulk.selection["unknown"])][:limit]


def skips_of(session: Session, bulk: Bulk) -> tuple[Skip, ...]:
    """Count those that were left out by their reason, the most frequent first."""
    query = (
        select(BulkMember.reason, func.count())
        .where(BulkMember.bulk_id == bulk.id, BulkMember.state == bulk_moves.SKIPPED)
        .group_by(BulkMember.reason)
        .order_by(func.count().desc())
    )
    counts = [(reason or bulk_moves.MOVED, count) for reason, count in session.execute(query)]
    if unknown := bulk.selection["unknown_count"]:
        counts.append(("unknown_study", unknown))
    return tuple(Skip(reason, SENTENCES.get(reason) or sentence(reason), count) for reason, count in counts)


def _by_state(session: Session, bulk_id: str) -> dict[str, int]:
    query = select(BulkMember.state, func.count()).where(BulkMember.bulk_id == bulk_id).group_by(BulkMember.state)
    return dict(session.execute(query).all())


def _canaries(session: Session, bulk: Bulk) -> tuple[CanaryStudy, ...]:
    rows: Sequence[Any] = bulk_moves.tried(session, bulk)[:SHOWN_CANARIES]
    names = files.first_names(session, [row.study_id for row in rows])
    found = []
    for row in rows:
        verdict = bulk_moves.verdict(row.state, row.error)
        reason = (row.reason or row.error) if verdict != "succeeded" else None
        found.append(CanaryStudy(row.study_id, names.get(row.study_id, row.study_id), row.state, verdict, reason,
                                 sentence(reason) if reason else None))  # fmt: skip
    return tuple(found)


def _progress(session: Session, bulk: Bulk) -> dict[str, int]:
    """Count those that were sent by their state; all that is in work is `waiting`."""
    query = (
        select(Screening.state, func.count())
        .join(BulkMember, BulkMember.screening_id == Screening.id)
        .where(BulkMember.bulk_id == bulk.id, BulkMember.state.in_((bulk_moves.SENT, bulk_moves.CANARY)))
        .group_by(Screening.state)
    )
    found: dict[str, int] = {}
    for state, count in session.execute(query):
        name = "waiting" if state in IN_WORK else str(state)
        found[name] = found.get(name, 0) + count
    return found


def _named(session: Session, bulk: Bulk) -> tuple[str, ...]:
    """Return the studies that were named, at most a thousand of them; of another selection, none."""
    if not bulk.selection["how"]["studies"]:
        return ()
    query = (
        select(Screening.study_id)
        .join(BulkMember, BulkMember.screening_id == Screening.id)
        .where(BulkMember.bulk_id == bulk.id)
        .order_by(BulkMember.position)
        .limit(KEPT_STUDIES)
    )
    return (*session.scalars(query), *bulk.selection["unknown"])[:KEPT_STUDIES]


def _lane(session: Session, bulk_id: str) -> str:
    """Return the lane that most of those that wait are in; the last may have been sent since they were counted."""
    waits = BulkMember.state.in_((bulk_moves.HELD, bulk_moves.FREE))
    query = (
        select(Screening.lane)
        .join(BulkMember, BulkMember.screening_id == Screening.id)
        .where(BulkMember.bulk_id == bulk_id, waits)
        .group_by(Screening.lane)
        .order_by(func.count().desc())
        .limit(1)
    )
    return session.scalars(query).first() or Lane.NORMAL.value
