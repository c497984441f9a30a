"""The history of a study's attempts, each with what has changed since: the reason to try once more, or not to."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, select, union
from sqlalchemy.orm import Session, aliased

from cspine import __version__
from cspine.reasons import sentence
from cspine.states import Outcome
from cspine.tables import Attempt, Image, Release, Result, Screening

NOT_ITS_TURN = "Its turn did not come within the second of its company; nothing is counted."
UNFINISHED = (
    "It was given back before it was done: its worker was told to stop or lost its database, "
    "or the time of one run was over; nothing is counted."
)


@dataclass(frozen=True)
class Past:
    """One attempt, and what is other today than it was then."""

    attempt: Attempt
    release: str | None  # name and version; null where none was chosen yet
    seconds: float | None  # how long it took; null while it runs
    sentence: str | None  # why it did not succeed, in words; null where it did, or runs
    changed: tuple[str, ...]  # "release demo 1 -> demo 2", "cspine 0.3 -> 0.4"


def history(session: Session, screening_id: int) -> list[Past]:
    """Return the attempts of a screening, the oldest first, and those of replays whose answers it shows."""
    query = (
        select(Attempt, Release, _settled_without())
        .outerjoin(Release, Release.id == Attempt.release_id)
        .where(attempts_of(screening_id))
        .order_by(Attempt.id)
    )
    now_active = active(session)
    return [
        Past(
            attempt=attempt,
            release=words(release),
            seconds=(attempt.ended_at - attempt.started_at).total_seconds() if attempt.ended_at else None,
            sentence=_why(attempt, company_went_on=company_went_on),
            changed=changes(release, attempt.software, now_active),
        )
        for attempt, release, company_went_on in session.execute(query)
    ]


def _settled_without() -> ColumnElement[bool]:
    """Say whether another attempt of the same claim came to its end: only a worker that goes on settles so."""
    other = aliased(Attempt)
    ended = other.outcome.in_([Outcome.DONE, Outcome.FAILED])
    return exists(select(other.id).where(other.claim_id == Attempt.claim_id, ended))


def _why(attempt: Attempt, *, company_went_on: bool) -> str | None:
    """Say why an attempt did not succeed; one that was handed back counts as nobody's attempt."""
    back = attempt.outcome == Outcome.HANDED_BACK
    if attempt.reason:
        return sentence(attempt.reason) + " Nothing is counted." * back
    if not back:
        return None
    return NOT_ITS_TURN if company_went_on else UNFINISHED


def attempts_of(screening_id: int) -> ColumnElement[bool]:
    """Return what the attempts of a screening fulfil, and that of a replay which gave what its study shows."""
    shown = (
        select(Result.attempt_id)
        .join(Image, Image.id == Result.image_id)
        .join(Screening, Screening.study_id == Image.study_id)
        .where(Screening.id == screening_id, Result.shown)
    )
    own = select(Attempt.id).where(Attempt.screening_id == screening_id)
    return Attempt.id.in_(union(own, shown))  # not by `or`, for which PostgreSQL reads the whole table


def active(session: Session) -> Release | None:
    """Return the release that a retry would be screened with."""
    return session.scalars(select(Release).where(Release.active)).one_or_none()


def changes(release: Release | None, software: str, now_active: Release | None) -> tuple[str, ...]:
    """Say what is other today than in an attempt: the release that it ran with, and the version of cspine."""
    found: list[str] = []
    if release is not None and now_active is not None and release.id != now_active.id:
        was, is_ = words(release), words(now_active)
        same_name = f" ({release.identity[:8]} -> {now_active.identity[:8]})" if was == is_ else ""
        found.append(f"release {was} -> {is_}{same_name}")
    if software != __version__:
        found.append(f"cspine {software} -> {__version__}")
    return tuple(found)


def words(release: Release | None) -> str | None:
    """Return name and version of a release."""
    return f"{release.name} {release.version}" if release is not None else None


def latest(session: Session, fingerprint: str) -> tuple[Attempt, Release | None] | None:
    """Return the latest attempt that failed in this way, with its release; null where none is recorded."""
    query = (
        select(Attempt, Release)
        .outerjoin(Release, Release.id == Attempt.release_id)
        .where(Attempt.fingerprint == fingerprint)
        .order_by(Attempt.ended_at.desc())
        .limit(1)
    )
    row = session.execute(query).first()
    return (row[0], row[1]) if row is not None else None
