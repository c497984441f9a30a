"""Cancelling a batch: the preview changes nothing, who may, and what stays."""

import pytest

from cspine.database import Database
from cspine.records import screenings
from cspine.states import State
from cspine.tables import Batch
from tests.cspine.records import makers
from tests.web.conftest import Browser

pytestmark = pytest.mark.services


@pytest.fixture
def batch(database: Database) -> str:
    """Make a batch of a study in each of several states; return its id."""
    with database.write() as session:
        own = makers.batch(session, created_by="rita")
        for state in (State.RECEIVED, State.RECEIVED, State.SCREENING, State.FAILED, State.DONE):
            makers.study(session, own, state)
        return own.id


def states(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(row.state for row in session.query(screenings.Screening))


def test_the_preview_counts_and_changes_nothing(reader: Browser, batch: str, database: Database) -> None:
    assert f'data-mine href="/batches/{batch}/cancel">Cancel…' in reader.get(f"/batches/{batch}").text
    text = reader.get(f"/batches/{batch}/cancel").text
    assert '<span class="number">4</span> studies would be cancelled' in text
    assert "2 waiting for a worker to decode it" in text
    assert '<dd>1 <span class="muted">keep their answer' in text
    assert "Cancel 4 studies" in text
    assert states(database) == ["done", "failed", "received", "received", "screening"]


def test_what_has_no_answer_is_cancelled_once(reader: Browser, batch: str, database: Database) -> None:
    answer = reader.post(f"/batches/{batch}/cancel")
    assert (answer.status_code, answer.location) == (303, f"/batches/{batch}")
    text = reader.get(f"/batches/{batch}").text
    assert "4 studies are cancelled." in text
    assert "· cancelled" in text
    assert states(database) == ["cancelled"] * 4 + ["done"]
    reader.post(f"/batches/{batch}/cancel")
    assert "Nothing of it was left to cancel." in reader.get(f"/batches/{batch}").text


def test_somebody_elses_batch_is_an_admins_to_cancel(reader: Browser, admin: Browser, batch: str,
                                                     database: Database) -> None:  # fmt: skip
    with database.write() as session:
        session.get_one(Batch, batch).created_by = "somebody"
    assert "data-mine" not in reader.get(f"/batches/{batch}").text
    assert reader.get(f"/batches/{batch}/cancel").status_code == 403
    assert reader.post(f"/batches/{batch}/cancel").status_code == 403
    assert len(set(states(database))) == 4
    assert admin.post(f"/batches/{batch}/cancel").status_code == 303
    assert states(database) == ["cancelled"] * 4 + ["done"]
    assert reader.get("/batches/nothing/cancel").status_code == 404
    assert reader.post("/batches/nothing/cancel").status_code == 404


def test_files_of_another_batch_are_told(admin: Browser, batch: str, database: Database) -> None:
    with database.write() as session:
        study = makers.study(session, session.get_one(Batch, batch), State.READY)
        makers.file(session, makers.batch(session, name="other"), study)
    assert "1 of them also holds files of another batch" in admin.get(f"/batches/{batch}/cancel").text
