"""Failures: what failed or was quarantined, in groups that failed alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from cspine.reasons import sentence
from cspine.records import files, history, trends
from cspine.records.filters import Filter
from cspine.records.trends import Trend
from cspine.states import State
from cspine.tables import Attempt, Bulk, Release, Screening, Study

SHOWN_STUDIES = 200
MOST_BULKS = 200  # that are looked through for what was tried of a group
EVERYTHING = Filter()


@dataclass(frozen=True)
class Group:
    """Studies that failed alike: same kind of error, same place in our code, same release, same station."""

    fingerprint: str
    count: int
    kind: str
    reason: str
    stage: str
    failed: int
    quarantined: int
    release: str | None
    station: str | None  # null where it is unknown
    first_seen: datetime  # the first attempt that failed in this way, whether its study was given up or not
    last_seen: datetime
    studies: Sequence[str]  # at most 200, the latest first
    place: str | None
    traceback: str | None
    trend: Trend
    changed: tuple[str, ...]  # since its last failure
    bulk: tuple[str, str] | None  # id and state of the latest retry of it that runs its canary or was stopped

    @property
    def sentence(self) -> str:
        """The reason in words for a person."""
        return sentence(self.reason)

    def as_dict(self) -> dict[str, Any]:
        """Return the group as the command line prints it."""
        return {
            "fingerprint": self.fingerprint,
            "count": self.count,
            "kind": self.kind,
            "reason": self.reason,
            "release": self.release,
            "station": self.station,
            "first_seen": self.first_seen.isoformat(),
            "last_seen": self.last_seen.isoformat(),
            "studies": list(self.studies),
        }


@dataclass(frozen=True)
class Totals:
    """How much was given up."""

    studies: int
    groups: int


@dataclass(frozen=True)
class FailedStudy:
    """A study of a group, or of what a filter lets pass."""

    screening_id: int
    study_id: str
    state: str
    stage: str
    reason: str
    fingerprint: str | None
    changed_at: datetime
    name: str  # of its first file


def groups(session: Session, chosen: Filter = EVERYTHING, limit: int | None = None) -> list[Group]:
    """Return the groups of what was given up and passes the filter, the largest first."""
    query = (
        select(
            Screening.fingerprint,
            func.count().label("number"),
            func.sum(case((Screening.state == State.QUARANTINED, 1), else_=0)).label("quarantined"),
            func.min(Screening.error_kind).label("kind"),
            func.min(Screening.reason).label("reason"),
            func.min(Screening.stage).label("stage"),
            func.max(Screening.release_id).label("release_id"),
            func.min(Study.station).label("station"),
            func.max(Study.station).label("last_station"),
            func.min(Screening.changed_at, type_=Screening.changed_at.type).label("first"),
            func.max(Screening.changed_at, type_=Screening.changed_at.type).label("last"),
        )
        .join(Study, Study.id == Screening.study_id)
        .where(*chosen.conditions())
        .group_by(Screening.fingerprint)
        .order_by(func.count().desc(), Screening.fingerprint)
        .limit(limit)
    )
    rows = session.execute(query).all()
    fingerprints = [row.fingerprint for row in rows if row.fingerprint is not None]
    found_trends = trends.of(session, fingerprints)
    bulks = _bulks(session, fingerprints)
    now_active = history.active(session)
    found = []
    for row in rows:
        attempt, of_attempt = (row.fingerprint and history.latest(session, row.fingerprint)) or (None, None)
        release = session.get(Release, row.release_id) if row.release_id else of_attempt
        first, last = _seen(session, row.fingerprint)
        found.append(
            Group(
                fingerprint=row.fingerprint or "",
                count=row.number,
                kind=row.kind or "unknown",
                reason=row.reason or "internal_error",
                stage=row.stage,
                failed=row.number - row.quarantined,
                quarantined=row.quarantined,
                release=history.words(release),
                station=row.station if row.station == row.last_station else None,
                first_seen=min(first or row.first, row.first),
                last_seen=max(last or row.last, row.last),
                studies=_studies(session, row.fingerprint, chosen),
                place=attempt.place if attempt else None,
                traceback=attempt.traceback if attempt else None,
                trend=found_trends.get(row.fingerprint, Trend()),
                changed=history.changes(release, attempt.software, now_active) if attempt else (),
                bulk=bulks.get(row.fingerprint),
            )
        )
    return found


def totals(session: Session, chosen: Filter = EVERYTHING) -> Totals:
    """Count what was given up and passes the filter."""
    query = (
        select(func.count(), func.count(func.coalesce(Screening.fingerprint, "").distinct()))
        .join(Study, Study.id == Screening.study_id)
        .where(*chosen.conditions())
    )
    studies, number = session.execute(query).one()
    return Totals(studies, number)


def members(session: Session, chosen: Filter = EVERYTHING, after: int = 0, limit: int = 100) -> list[FailedStudy]:
    """Return what was given up and passes the filter, by the screening's id, those after `after`."""
    query = (
        select(Screening)
        .join(Study, Study.id == Screening.study_id)
        .where(*chosen.conditions(), Screening.id > after)
        .order_by(Screening.id)
        .limit(limit)
    )
    rows = session.scalars(query).all()
    names = files.first_names(session, [row.study_id for row in rows])
    return [
        FailedStudy(row.id, row.study_id, row.state, row.stage, row.reason or "internal_error", row.fingerprint,
                    row.changed_at, names.get(row.study_id, row.study_id))
        for row in rows
    ]  # fmt: skip


def _studies(session: Session, fingerprint: str | None, chosen: Filter) -> Sequence[str]:
    query = (
        select(Screening.study_id)
        .join(Study, Study.id == Screening.study_id)
        .where(*chosen.conditions(), Screening.fingerprint.is_not_distinct_from(fingerprint))
        .order_by(Screening.changed_at.desc())
        .limit(SHOWN_STUDIES)
    )
    return session.scalars(query).all()


def _seen(session: Session, fingerprint: str | None) -> tuple[datetime | None, datetime | None]:
    """Return when something failed in this way first and last; each is one look at an end of an index."""
    own = (Attempt.fingerprint == fingerprint, Attempt.ended_at.is_not(None))
    by = Attempt.ended_at
    return (
        session.scalars(select(by).where(*own).order_by(by).limit(1)).first(),
        session.scalars(select(by).where(*own).order_by(by.desc()).limit(1)).first(),
    )


def _bulks(session: Session, fingerprints: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return, by fingerprint, the latest retry that runs its canary, or was stopped by it and not tried again since."""
    query = (
        select(Bulk.id, Bulk.state, Bulk.selection)
        .where(Bulk.state != "previewed", Bulk.action == "retry")
        .order_by(Bulk.created_at.desc())
        .limit(MOST_BULKS)
    )
    found: dict[str, tuple[str, str]] = {}
    for bulk_id, state, selection in reversed(session.execute(query).all()):
        halted = selection.get("stopped", []) if state == "stopped" else []
        for fingerprint in selection.get("groups", []):
            found.pop(fingerprint, None)
            if state == "canary" or fingerprint in halted:
                found[fingerprint] = (bulk_id, state)
    return {fingerprint: one for fingerprint, one in found.items() if fingerprint in fingerprints}
