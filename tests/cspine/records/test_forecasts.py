"""Forecasts from the tables: what of a batch is in work, what keeps it from ending, who else is in the queue."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cspine.database import Database, now
from cspine.forecast import Why
from cspine.records import backlogs, batches, forecasts, heartbeats, paces, pauses
from cspine.settings import Settings
from cspine.states import Lane, Stage, State
from cspine.tables import Attempt, Batch, Claim, ReceivedFile, Screening, Study
from tests.cspine.records import makers

pytestmark = pytest.mark.services
PREPARE, SCREEN = "host:prepare:1", "host:screen:2"


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.write() as session:
        yield session


def work(session: Session, own: Batch, state: State, count: int = 1, lane: str = "normal", **values: object) -> None:
    """Make studies of one file of a megabyte, a second old."""
    moment = now(session) - timedelta(seconds=1)
    for _ in range(count):
        study = makers.study(session, own, state, lane=lane)
        session.execute(
            update(Screening)
            .where(Screening.study_id == study.id)
            .values({"lane": lane, "created_at": moment, "changed_at": moment} | values)
        )
        session.execute(update(ReceivedFile).where(ReceivedFile.study_id == study.id).values(size=1_000_000))


def workers(session: Session, children: int = 2, seconds: float = 4.0) -> None:
    """Let one prepare worker and one screen worker have worked for some minutes, a study of one file in each claim."""
    done, moment = makers.batch(session, "measured"), now(session)
    for kind, name, size in (("prepare", PREPARE, children), ("screen", SCREEN, 1)):
        heartbeats.beat(session, name, kind)
        for number in range(14):
            for child in range(size):
                study = makers.study(session, done)
                session.execute(update(ReceivedFile).where(ReceivedFile.study_id == study.id).values(size=1_000_000))
                screening = session.scalars(select(Screening).where(Screening.study_id == study.id)).one()
                ended = moment - timedelta(seconds=number * seconds + 0.1 * child)
                attempt = makers.attempt(session, screening, stage=kind)
                session.execute(
                    update(Claim)
                    .where(Claim.id == attempt.claim_id)
                    .values(stage=kind, worker=f"{name}:{child}", started_at=ended - timedelta(seconds=seconds),
                            ended_at=ended)
                )  # fmt: skip


def test_a_batch_of_which_nothing_is_in_work_is_done(session: Session) -> None:
    own = makers.batch(session)
    for state in (State.DONE, State.FAILED, State.CANCELLED, State.QUARANTINED):
        work(session, own, state)
    told = forecasts.of_batch(session, own, Settings())
    assert (told.waiting, told.ends_at, told.why, told.late) == (0, None, Why.DONE, False)


def test_without_workers_or_with_one_that_cannot_work_no_end_is_known(session: Session) -> None:
    own = makers.batch(session)
    work(session, own, State.RECEIVED)
    assert forecasts.of_batch(session, own, Settings()).why is Why.NO_WORKER
    heartbeats.beat(session, PREPARE, "prepare")
    heartbeats.beat(session, SCREEN, "screen", {"fault": "no_release", "detail": ""})
    session.flush()
    assert forecasts.of_batch(session, own, Settings()).why is Why.NO_WORKER
    heartbeats.beat(session, SCREEN, "screen")
    session.flush()
    assert forecasts.of_batch(session, own, Settings()).why is Why.NOT_MEASURED


def test_a_pause_of_its_lane_or_of_the_queue_leaves_no_end(session: Session) -> None:
    workers(session)
    own = makers.batch(session)
    work(session, own, State.RECEIVED, lane="overnight")
    for key, why in (("urgent", None), ("overnight", Why.PAUSED), ("all", Why.PAUSED)):
        pauses.pause(session, key, "x", "ana")
        assert forecasts.of_batch(session, own, Settings()).why is why
        pauses.resume(session, key, "ana")


def test_the_end_follows_from_the_work_and_the_pace(session: Session) -> None:
    """40 studies of 4 s by two children are prepared in 80 s, and screened by one child in 160 s."""
    workers(session)
    own = makers.batch(session)
    work(session, own, State.RECEIVED, 40)
    told = forecasts.of_batch(session, own, Settings())
    assert told.ends_at is not None
    assert (told.ends_at - told.made_at).total_seconds() == pytest.approx(160, rel=0.1)
    assert told.waiting == 40
    assert told.per_minute == pytest.approx(15, rel=0.1)


def test_earlier_work_of_its_lane_is_waited_for_and_later_work_is_not(session: Session) -> None:
    workers(session)
    own = makers.batch(session)
    work(session, own, State.READY, 10)
    alone = forecasts.of_batch(session, own, Settings()).ends_at
    other = makers.batch(session, "other")
    work(session, other, State.READY, 10, created_at=now(session) + timedelta(seconds=5))
    later = forecasts.of_batch(session, own, Settings()).ends_at
    session.execute(update(Screening).where(Screening.study_id.in_(select(Study.id).where(Study.batch_id == other.id)))
                    .values(created_at=makers.NIGHT))  # fmt: skip
    earlier = forecasts.of_batch(session, own, Settings()).ends_at
    assert alone is not None
    assert later is not None
    assert earlier is not None
    assert (later - alone).total_seconds() == pytest.approx(0, abs=3)
    assert (earlier - alone).total_seconds() == pytest.approx(40, abs=5)


def test_what_waits_for_another_try_is_waited_for(session: Session) -> None:
    workers(session)
    own = makers.batch(session)
    again = now(session) + timedelta(minutes=9)
    work(session, own, State.WAITING, stage="screen", next_try_at=again)
    assert forecasts.of_batch(session, own, Settings()).ends_at == again


def test_own_work_by_stage_and_lane(session: Session) -> None:
    own = makers.batch(session)
    for state in (State.RECEIVED, State.PREPARING, State.READY, State.SCREENING, State.DONE):
        work(session, own, state)
    work(session, own, State.WAITING, lane="urgent", stage="screen")
    mine = backlogs.own(session, own)
    assert mine.studies == 5
    assert {place: size.files for place, size in mine.sizes.items()} == {
        (Stage.PREPARE, Lane.NORMAL): 1.5,
        (Stage.SCREEN, Lane.NORMAL): 1.5,
        (Stage.SCREEN, Lane.URGENT): 1.0,
    }
    assert mine.lanes == {Lane.NORMAL, Lane.URGENT}


def test_only_what_keeps_coming_is_a_stream(session: Session) -> None:
    own, moment = makers.batch(session), now(session)
    work(session, own, State.RECEIVED, 30, lane="overnight")  # all at once
    for minute in range(30):
        work(session, own, State.DONE, lane="urgent", created_at=moment - timedelta(minutes=minute, seconds=30))
    assert backlogs.streams(session, moment, ()) == {Lane.URGENT: pytest.approx(1 / 60)}
    assert backlogs.streams(session, moment, {Lane.URGENT}) == {}


def test_replays_do_not_count(session: Session) -> None:
    workers(session)
    own = makers.batch(session)
    work(session, own, State.READY, 5)
    before = forecasts.of_batch(session, own, Settings())
    study = session.scalars(select(Study.id).where(Study.batch_id == own.id)).first()
    session.add(Screening(study_id=study, state=State.READY, lane="shadow", shadow=True, created_at=makers.NIGHT,
                          changed_at=makers.NIGHT))  # fmt: skip
    session.execute(update(Claim).where(Claim.stage == "prepare").values(stage="screen", worker="host:explain:3:4"))
    session.flush()
    after = forecasts.of_batch(session, own, Settings())
    assert after.waiting == before.waiting
    assert after.ends_at is not None
    assert before.ends_at is not None
    assert (after.ends_at - before.ends_at).total_seconds() == pytest.approx(0, abs=3)


def test_failed_attempts_make_the_work_dearer(session: Session) -> None:
    workers(session)
    before = paces.read(session, now(session))[Stage.SCREEN].cost
    half = session.scalars(select(Attempt.id).where(Attempt.stage == "screen").order_by(Attempt.id)).all()[::2]
    session.execute(update(Attempt).where(Attempt.id.in_(half)).values(outcome="failed"))
    after = paces.read(session, now(session))[Stage.SCREEN].cost
    assert after.of(1, 1e6) == pytest.approx(2 * before.of(1, 1e6), rel=0.15)


def test_deadlines_that_will_be_missed_the_nearest_first(session: Session) -> None:
    workers(session)
    moment = now(session)
    for name, minutes, count in (("in time", 60, 5), ("late", 1, 40), ("over", -5, 1), ("forgotten", -60 * 24 * 9, 1),
                                 ("done", -5, 0)):  # fmt: skip
        own = makers.batch(session, name)
        work(session, own, State.READY, count)
        batches.set_deadline(session, own.id, moment + timedelta(minutes=minutes), "ana")
    session.expire_all()
    assert [batch.name for batch, _ in forecasts.late(session, Settings())] == ["over", "late"]


def test_what_more_studies_would_take(session: Session) -> None:
    nothing = forecasts.expected(session, 10, "normal", Settings())
    assert (nothing.seconds_of_work, nothing.ends_at, nothing.why) == (None, None, Why.NO_WORKER)
    workers(session)
    some = forecasts.expected(session, 10, "normal", Settings())
    assert some.seconds_of_work == pytest.approx(10 * 8, rel=0.1)
    assert some.ends_at is not None
    assert (some.ends_at - now(session)).total_seconds() == pytest.approx(42, abs=6)
