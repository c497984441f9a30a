"""Freeing: what a dead, frozen or leaving worker held goes back to work, so that it can be counted and bounded.

When a claim of several crashes, nobody knows which of them did it: they run again in halves, then alone. Only a crash
alone counts against a screening; its neighbours keep their count. After `max_lone_attempts` it is quarantined. What was
lost with a whole worker, or by an outage, counts against nobody.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.failure import Failure, at_station, of_process
from cspine.reasons import Reason
from cspine.records import heartbeats, studies
from cspine.records.claims import CPU, WORK, locked
from cspine.records.endings import close
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import Outcome, Stage, State
from cspine.tables import Claim, Screening, new_id

SEPARATOR = ":"
MOST_LOSSES = 6
POISON = {Stage.PREPARE: Reason.DECODER_CRASH, Stage.SCREEN: Reason.POISON}


def worker_name(host: str, stage: str, *pids: int) -> str:
    """Return the name of all workers of a stage on a host, of one's parent process, or of a child of it."""
    return SEPARATOR.join([host[-80:].replace(SEPARATOR, "."), str(stage), *map(str, pids)])


def crash(session: Session, claim_id: str, settings: Settings, reason: Reason = Reason.WORKER_CRASH) -> list[Ring]:
    """Free a claim whose process was killed, hung, or had no memory left."""
    return _free(session, claim_id, settings, Outcome.CRASHED, reason)


def expire(session: Session, claim_id: str, settings: Settings, outage: datetime | None = None) -> list[Ring]:
    """Free a claim whose lease ran out; nothing happens where it was renewed or ended in the meantime.

    It counts where the child alone is silent. Where its whole worker is, or where nobody could renew anything because
    of an outage that ended at the given time, it is a loss.
    """
    still = select(Claim).where(Claim.id == claim_id, _is_expired(session, settings)).with_for_update(skip_locked=True)
    claim = session.scalars(still).first()
    if claim is None:
        return []
    renewed = claim.expires_at - timedelta(seconds=settings.lease_seconds)
    if (outage is not None and renewed <= outage) or renewed > now(session):  # the latter: a clock was set back
        return lost(session, claim_id, settings, Reason.DATABASE_UNAVAILABLE)
    if heartbeats.silent(session, claim.worker.rpartition(SEPARATOR)[0]):
        return lost(session, claim_id, settings, Reason.LEASE_EXPIRED)
    return _free(session, claim_id, settings, Outcome.EXPIRED, Reason.LEASE_EXPIRED)


def lost(session: Session, claim_id: str, settings: Settings, reason: Reason) -> list[Ring]:
    """Free a claim that was lost with its whole worker, or by an outage: nothing says that a study of it did that.

    It is handed back and counts as nobody's attempt. A study that was lost `MOST_LOSSES` times with its worker since
    the last retry by a person is no bad luck any more: from then on such a loss counts like a crash, so that one which
    takes whole machines down cannot do so for ever. Outages of the database are none of these.
    """
    if not locked(session, claim_id):
        return []
    rows = _members(session, session.get_one(Claim, claim_id))
    by_outage = reason is Reason.DATABASE_UNAVAILABLE
    if not by_outage and any(row.losses >= MOST_LOSSES for row in rows):
        return _free(session, claim_id, settings, Outcome.CRASHED, reason)
    rings = [_back(session, row, {} if by_outage else {"losses": row.losses + 1}) for row in rows]
    close(session, claim_id, Outcome.HANDED_BACK, of_process(reason, Stage(rows[0].stage)) if rows else None)
    return rings


def hand_back(session: Session, claim_id: str) -> list[Ring]:
    """Free a claim of a worker that was asked to stop: nothing is counted, and the same company may run again."""
    if not locked(session, claim_id):
        return []
    claim = session.get_one(Claim, claim_id)
    rows = _members(session, claim)
    rings = [_back(session, row, {}) for row in rows]
    close(session, claim_id, Outcome.HANDED_BACK)
    return rings


def expired(session: Session, settings: Settings, limit: int = 200) -> Sequence[str]:
    """Return claims whose lease has run out, the oldest first."""
    query = select(Claim.id).where(_is_expired(session, settings)).order_by(Claim.expires_at).limit(limit)
    return session.scalars(query).all()


def open_claims(session: Session, worker: str) -> Sequence[Claim]:
    """Return the open claims of a worker's child, of a worker with all its children, or of all workers of a host."""
    mine = or_(Claim.worker == worker, Claim.worker.startswith(worker + SEPARATOR, autoescape=True))
    return session.scalars(select(Claim).where(Claim.ended_at.is_(None), mine)).all()


def _is_expired(session: Session, settings: Settings) -> Any:
    """Expired: by now, or at a time so far ahead that the clock must have been set back since."""
    moment = now(session)
    ahead = moment + timedelta(seconds=2 * settings.lease_seconds)
    return Claim.ended_at.is_(None) & or_(Claim.expires_at < moment, Claim.expires_at > ahead)


def _free(session: Session, claim_id: str, settings: Settings, outcome: Outcome, reason: Reason) -> list[Ring]:
    if not locked(session, claim_id):
        return []
    claim = session.get_one(Claim, claim_id)
    rows = _members(session, claim)
    failure = of_process(reason, Stage(claim.stage), str(rows[0].release_id) if rows and rows[0].release_id else None)
    if claim.size > 1:
        rings = _halve(session, rows)
    else:
        if rows:
            failure = at_station(failure, studies.station(session, rows[0].study_id))
        rings = [ring for row in rows if (ring := _count(session, row, claim, failure, settings))]
    close(session, claim_id, outcome, failure)
    return rings


def _members(session: Session, claim: Claim) -> Sequence[Screening]:
    """Lock the screenings that the claim still holds."""
    held = WORK[Stage(claim.stage)][1]
    query = select(Screening).where(Screening.claim_id == claim.id, Screening.state == held).order_by(Screening.id)
    return session.scalars(query.with_for_update()).all()


def _halve(session: Session, rows: Sequence[Screening]) -> list[Ring]:
    """Send the members of a crashed company back in two groups; one bell is enough for each."""
    middle = (len(rows) + 1) // 2
    rings = []
    for half in (rows[:middle], rows[middle:]):
        group = new_id()
        back = [_back(session, row, {"group_id": group}) for row in half]
        rings += back[:1]
    return rings


def _count(session: Session, row: Screening, claim: Claim, failure: Failure, settings: Settings) -> Ring | None:
    """Count a lone attempt against a screening; quarantine it where that was the last."""
    attempts = row.lone_attempts + 1
    if attempts < settings.max_lone_attempts:
        alone: dict[str, Any] = {"lone_attempts": attempts, "cpu_only": row.cpu_only or claim.device != CPU,
                                 "group_id": row.group_id or new_id()}  # fmt: skip
        return _back(session, row, alone)
    session.execute(
        update(Screening)
        .where(Screening.id == row.id)
        .values(state=State.QUARANTINED.value, claim_id=None, changed_at=now(session), lone_attempts=attempts,
                reason=POISON[Stage(claim.stage)].value, error_kind=failure.kind.value,
                fingerprint=failure.fingerprint)
    )  # fmt: skip
    if not row.shadow:  # see `studies.refresh`
        studies.refresh(session, row.study_id)
    return None


def _back(session: Session, row: Screening, values: dict[str, Any]) -> Ring:
    """Put a screening back to where its stage takes it from."""
    stage = Stage(row.stage)
    session.execute(
        update(Screening)
        .where(Screening.id == row.id)
        .values(state=WORK[stage][0].value, claim_id=None, changed_at=now(session), **values)
    )
    return Ring(stage, row.lane, row.id)
