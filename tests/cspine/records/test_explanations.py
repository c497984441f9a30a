"""Maps on demand: asked for once, claimed by one, counted whatever ends their worker."""

from datetime import UTC, datetime, timedelta

import pytest

from cspine.database import Database
from cspine.reasons import Reason
from cspine.records import explanations, screenings
from cspine.records.explanations import MOST_ATTEMPTS, Progress, Work
from cspine.tables import Explanation
from tests.cspine.records import makers

pytestmark = pytest.mark.services
WORKER = "host:explain:1:2"


@pytest.fixture
def result_id(database: Database) -> int:
    with database.write() as session:
        batch = makers.batch(session)
        study = makers.study(session, batch)
        screening = screenings.shown(session, study.id)
        assert screening
        attempt = makers.attempt(session, screening)
        image = makers.image(session, study, makers.file(session, batch, study))
        return makers.result(session, image, attempt, makers.release(session), "fracture", 0.9).id


def ask(database: Database, result_id: int, method: str = "gradcam") -> int:
    with database.write() as session:
        return explanations.request(session, result_id, method, "rita").id


def claim(database: Database, id_: int, worker: str = WORKER, seconds: float = 60) -> Work | None:
    with database.write() as session:
        return explanations.claim(session, id_, worker, seconds)


def row(database: Database, id_: int) -> Explanation:
    with database.read() as session:
        return session.get_one(Explanation, id_)


def test_a_map_is_asked_for_once_and_made_once(database: Database, result_id: int) -> None:
    id_ = ask(database, result_id)
    assert ask(database, result_id) == id_
    assert ask(database, result_id, "cam") != id_
    work = claim(database, id_)
    assert work is not None
    assert (work.result.id, work.image.id, work.release.name) == (result_id, work.result.image_id, "demo")
    assert claim(database, id_) is None
    with database.write() as session:
        assert explanations.finish(session, work, "aa/bb", {"n": 16})
    found = row(database, id_)
    assert (found.state, found.blob_key, found.options, found.attempts) == ("done", "aa/bb", {"n": 16}, 1)
    assert ask(database, result_id) == id_
    assert row(database, id_).state == Progress.DONE, "what is there is not made again"


def test_what_failed_may_be_asked_for_again(database: Database, result_id: int) -> None:
    id_ = ask(database, result_id)
    work = claim(database, id_)
    assert work is not None
    with database.write() as session:
        assert explanations.fail(session, work, Reason.UNSUPPORTED_METHOD)
    assert (row(database, id_).state, row(database, id_).reason) == ("failed", "unsupported_method")
    assert ask(database, result_id) == id_
    assert (row(database, id_).state, row(database, id_).reason, row(database, id_).attempts) == ("requested", None, 0)


def test_a_worker_that_lost_its_claim_writes_nothing(database: Database, result_id: int) -> None:
    id_ = ask(database, result_id)
    frozen = claim(database, id_, seconds=-1)
    assert frozen is not None
    with database.write() as session:
        assert explanations.expire(session) == [id_]
    assert claim(database, id_) is not None
    with database.write() as session:
        assert not explanations.finish(session, frozen, "aa/bb", {})
        assert not explanations.fail(session, frozen, Reason.INTERNAL_ERROR)
    assert row(database, id_).state == Progress.RUNNING


def test_a_crash_is_counted_and_a_worker_that_leaves_is_not(database: Database, result_id: int) -> None:
    id_ = ask(database, result_id)

    def lose(worker: str, *, counts: bool = True) -> list[int]:
        assert claim(database, id_)
        with database.write() as session:
            return explanations.free(session, worker, Reason.WORKER_CRASH, counts=counts)

    for _ in range(3):
        assert lose("host:explain:1", counts=False) == [id_]
    for _ in range(MOST_ATTEMPTS - 1):
        assert lose(WORKER) == [id_]
    assert lose(WORKER) == []
    assert (row(database, id_).state, row(database, id_).reason) == ("failed", "worker_crash")


def test_only_what_the_process_held_is_freed(database: Database, result_id: int) -> None:
    id_ = ask(database, result_id)
    claim(database, id_)
    with database.write() as session:
        assert explanations.free(session, "host:explain:1:22", Reason.WORKER_CRASH) == []
        assert explanations.free(session, "host:explain:11", Reason.WORKER_CRASH) == []
        assert explanations.expire(session) == []
        assert explanations.running(session, "host:explain") == [WORKER]
    assert row(database, id_).state == Progress.RUNNING


def test_what_nobody_rang_for_is_found(database: Database, result_id: int) -> None:
    id_ = ask(database, result_id)
    ask(database, result_id, "cam")
    with database.write() as session:
        session.get_one(Explanation, id_).requested_at = datetime.now(UTC) - timedelta(minutes=1)
    with database.read() as session:
        assert explanations.unrung(session, timedelta(seconds=15)) == [id_]
