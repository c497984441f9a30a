"""The checks of a night: a sound one has no fault, and each kind of damage is found."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from cspine.database import Database
from cspine.records import batches
from cspine.states import Outcome, Stage, State
from cspine.tables import Attempt, Batch, Claim, Image, ReceivedFile, Result, Screening
from tests.chaos import checks
from tests.chaos.checks import Verdict
from tests.chaos.night import ANALYSED, QUARANTINED, File
from tests.cspine.records import makers

pytestmark = pytest.mark.services

LONE = 3
FILES = [File(Path("healthy.png"), ANALYSED), File(Path("poison.png"), QUARANTINED, "screen")]
MONKEY = "77"


def night(session: Session) -> str:
    """Make a healthy study that was crashed once by the monkey, and a poison; return the batch's name."""
    batch = makers.batch(session)
    model = makers.release(session)
    for file, state in zip(FILES, (State.DONE, State.QUARANTINED), strict=True):
        study = makers.study(session, batch, state)
        screening = session.query(Screening).filter_by(study_id=study.id).one()
        row = session.query(ReceivedFile).filter_by(study_id=study.id).one()
        row.name = file.name
        image = makers.image(session, study, row)
        makers.attempt(session, screening, stage=Stage.PREPARE, outcome=Outcome.DONE)
        if state is State.DONE:
            makers.attempt(session, screening, outcome=Outcome.CRASHED, worker=f"host:screen:1:{MONKEY}")
            makers.result(session, image, makers.attempt(session, screening), model, "normal", 0.9)
        else:
            screening.lone_attempts = LONE
            for _ in range(LONE):
                makers.attempt(session, screening, outcome=Outcome.CRASHED)
    session.execute(update(Attempt).values(ended_at=makers.NIGHT))
    session.execute(update(Claim).values(ended_at=makers.NIGHT))
    return batch.name


def verdict(session: Session, tries: int = 1, hit: str = MONKEY) -> Verdict:
    batch = batches.by_name(session, "night")
    assert batch is not None
    return checks.check(session, batch, FILES, {file.name: tries for file in FILES}, {hit}, LONE)


def healthy(session: Session) -> ReceivedFile:
    return session.query(ReceivedFile).filter_by(name="healthy.png").one()


def lose_file(session: Session) -> None:
    session.execute(delete(Result))
    session.execute(delete(Image).where(Image.file_id == healthy(session).id))
    session.delete(healthy(session))


def lose_screening(session: Session) -> None:
    session.execute(update(ReceivedFile).where(ReceivedFile.name == "healthy.png").values(study_id=None))


def lose_result(session: Session) -> None:
    session.execute(delete(Result))


def leave_in_work(session: Session) -> None:
    session.execute(update(Screening).where(Screening.state == State.DONE).values(state=State.READY))


def receive_twice(session: Session) -> None:
    row = healthy(session)
    makers.file(session, makers.batch(session, "other"), None, name="nobody.png")
    again = makers.file(session, makers.batch(session, "third"), None, name=row.name)
    again.batch_id, again.study_id = row.batch_id, row.study_id


def answer_twice(session: Session) -> None:
    row = session.query(Result).one()
    values = {name: getattr(row, name) for name in row.__table__.columns.keys() if name != "id"}  # noqa: SIM118
    session.add(Result(**values | {"preprocessing": "2", "shown": False}))


def screen_twice(session: Session) -> None:
    done = session.query(Attempt).filter_by(stage="screen", outcome=Outcome.DONE).one()
    makers.attempt(session, session.get_one(Screening, done.screening_id), ended_at=makers.NIGHT)


def blame(session: Session) -> None:
    session.execute(update(Attempt).where(Attempt.worker.endswith(MONKEY)).values(worker="host:screen:1:78"))


def count_against_the_healthy(session: Session) -> None:
    session.execute(update(Screening).where(Screening.state == State.DONE).values(lone_attempts=1))


def kill_once_more(session: Session) -> None:
    poison = session.query(Screening).filter_by(state=State.QUARANTINED).one()
    makers.attempt(session, poison, outcome=Outcome.CRASHED, ended_at=makers.NIGHT)


def leave_running(session: Session) -> None:
    session.execute(update(Attempt).where(Attempt.outcome == Outcome.DONE).values(ended_at=None))


@pytest.mark.parametrize(
    ("damage", "words", "lost", "double"),
    [
        (lose_file, "healthy.png is lost", 2, 0),  # the receipt, and its answer
        (lose_screening, "does not balance", 1, 0),
        (lose_result, "1 pictures and 0 results", 1, 0),
        (leave_in_work, "healthy.png is waiting", 0, 0),
        (receive_twice, "is also ['analysed']", 0, 2),  # and its attempts are of both
        (answer_twice, "1 pictures and 2 results", 0, 1),
        (screen_twice, "not done once in each stage", 0, 1),
        (blame, "was blamed", 0, 0),
        (count_against_the_healthy, "has lone attempts against it", 0, 0),
        (kill_once_more, "poison poison.png: 4 lone attempts, 3 counted", 0, 0),
        (leave_running, "running attempts", 0, 0),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_kind_of_damage_is_found(
    database: Database, damage: Callable[[Session], None], words: str, lost: int, double: int
) -> None:
    with database.write() as session:
        night(session)
        assert verdict(session).faults == []
        damage(session)
        session.flush()
        found = verdict(session)
    assert [fault for fault in found.faults if words in fault], found.faults
    assert (found.lost, found.double, found.sound) == (lost, double, False)


def test_a_file_that_was_sent_twice_in_doubt_may_be_its_own_duplicate(database: Database) -> None:
    with database.write() as session:
        night(session)
        row = healthy(session)
        own = session.query(Batch).one()
        makers.file(session, own, None, name=row.name, disposition="duplicate", original=False, study_id=row.study_id)
        session.flush()
        assert verdict(session, tries=2).sound
        assert not verdict(session, tries=1).sound


def test_blobs_without_a_row_and_rows_without_a_blob_are_named(database: Database) -> None:
    with database.write() as session:
        night(session)
        assert checks.blobs(session, {"aa/bb", "c", "p", "t0"}) == []
        assert checks.blobs(session, {"aa/bb", "c", "p", "zz"}) == ["1 orphan blobs: ['zz']", "1 blobs missing: ['t0']"]
