"""Failures: what failed or was quarantined, grouped by fingerprint."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cspine.reasons import sentence
from cspine.states import State
from cspine.tables import Attempt, Release, Screening, Study

GIVEN_UP = (State.FAILED, State.QUARANTINED)
SHOWN_STUDIES = 200


@dataclass(frozen=True)
class Group:
    """Studies that failed alike: same kind of error, same place in our code, same release."""

    fingerprint: str
    count: int
    kind: str
    reason: str
    release: str | None
    station: str | None  # null where the studies come from several
    first_seen: datetime
    last_seen: datetime
    studies: Sequence[str]  # at most 200, the latest first
    place: str | None
    traceback: str | None

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


def groups(session: Session) -> list[Group]:
    """Return the groups of what is given up, the largest first."""
    query = (
        select(
            Screening.fingerprint,
            func.count(),
            func.min(Screening.error_kind),
            func.min(Screening.reason),
            func.min(Study.station),
            func.max(Study.station),
            func.min(Screening.changed_at, type_=Screening.changed_at.type),
            func.max(Screening.changed_at, type_=Screening.changed_at.type),
        )
        .join(Study, Study.id == Screening.study_id)
        .where(Screening.state.in_(GIVEN_UP), Screening.shadow.is_(False))
        .group_by(Screening.fingerprint)
        .order_by(func.count().desc(), Screening.fingerprint)
    )
    found = []
    for fingerprint, count, kind, reason, station, last_station, first, last in session.execute(query):
        attempt, release = _latest_attempt(session, fingerprint)
        found.append(
            Group(
                fingerprint=fingerprint or "",
                count=count,
                kind=kind or "unknown",
                reason=reason or "internal_error",
                release=f"{release.name} {release.version}" if release else None,
                station=station if station == last_station else None,
                first_seen=first,
                last_seen=last,
                studies=_studies(session, fingerprint),
                place=attempt.place if attempt else None,
                traceback=attempt.traceback if attempt else None,
            )
        )
    return found


def _studies(session: Session, fingerprint: str | None) -> Sequence[str]:
    query = (
        select(Screening.study_id)
        .where(Screening.state.in_(GIVEN_UP), Screening.shadow.is_(False), Screening.fingerprint == fingerprint)
        .order_by(Screening.changed_at.desc())
        .limit(SHOWN_STUDIES)
    )
    return session.scalars(query).all()


def _latest_attempt(session: Session, fingerprint: str | None) -> tuple[Attempt | None, Release | None]:
    query = (
        select(Attempt, Release)
        .outerjoin(Release, Release.id == Attempt.release_id)
        .where(Attempt.fingerprint == fingerprint)
        .order_by(Attempt.id.desc())
        .limit(1)
    )
    row = session.execute(query).first()
    return row if row is not None else (None, None)
