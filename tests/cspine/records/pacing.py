"""Workers that have been at it for a while, for tests that need a throughput: heartbeats, claims, attempts."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from cspine.records import heartbeats, screenings
from cspine.states import Outcome, Stage
from cspine.tables import Attempt, Claim
from tests.cspine.records import makers


def work(session: Session, seconds: float = 2.0, count: int = 60) -> None:
    """Let one worker of each stage have ended so many studies, one after the other, up to now."""
    moment = datetime.now(UTC)
    study = makers.study(session, makers.batch(session, name=f"of the pace {makers.new_id()}"))
    screening = screenings.shown(session, study.id)
    assert screening
    for stage in Stage:
        place = f"host:{stage.value}:1"
        heartbeats.beat(session, place, stage.value)
        for number in range(count):
            began = moment - timedelta(seconds=seconds * (count - number))
            ended = began + timedelta(seconds=seconds)
            claim = Claim(stage=stage, worker=f"{place}:2", device="cpu", size=1, started_at=began, expires_at=ended,
                          ended_at=ended)  # fmt: skip
            session.add(claim)
            session.flush()
            session.add(Attempt(screening_id=screening.id, claim_id=claim.id, stage=stage, number=number, company=1,
                                worker=claim.worker, device="cpu", started_at=began, ended_at=ended, software="0",
                                outcome=Outcome.DONE))  # fmt: skip
    session.flush()
