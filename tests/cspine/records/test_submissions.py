"""Upload forms: each is one job, also for two clicks at once."""

from threading import Barrier, Thread

import pytest
from sqlalchemy import func, select

from cspine.database import Database
from cspine.records import people, submissions
from cspine.tables import Batch, Submission
from tests.cspine.records import makers

pytestmark = pytest.mark.services

NONCE = "n" * 22


def begin(database: Database, user_id: int, name: str = "night") -> Batch | Submission:
    with database.write() as session:
        return submissions.begin(session, NONCE, user_id, "rita", name, "normal")


@pytest.fixture
def user_id(database: Database) -> int:
    with database.write() as session:
        return people.add(session, "rita", people.Role.READER).id


def test_the_second_is_told_where_the_first_went(database: Database, user_id: int) -> None:
    first = begin(database, user_id)
    assert isinstance(first, Batch)
    with database.write() as session:
        study = makers.study(session, session.get_one(Batch, first.id))
        submissions.finish(session, NONCE, study.id)
    second = begin(database, user_id, "another name")
    assert isinstance(second, Submission)
    assert (second.batch_id, second.study_id) == (first.id, study.id)


def test_one_that_did_not_end_is_taken_again_into_its_batch(database: Database, user_id: int) -> None:
    first = begin(database, user_id)
    second = begin(database, user_id, "another name")
    assert isinstance(first, Batch)
    assert isinstance(second, Batch)
    assert first.id == second.id


def test_two_at_once_are_one_job_and_one_batch(database: Database, user_id: int) -> None:
    start, found = Barrier(4), []

    def click(number: int) -> None:
        start.wait()
        found.append(begin(database, user_id, f"night {number}"))

    threads = [Thread(target=click, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.id for one in found if isinstance(one, Batch)}) == 1
    assert len(found) == 4
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Batch)) == 1
