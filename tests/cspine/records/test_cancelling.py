"""Cancelling a batch: what is said before is what is done; answers and other batches' studies stay."""

import pytest
from sqlalchemy import select

from cspine.database import Database
from cspine.records import batches, cancelling, screenings
from cspine.states import Disposition, State
from cspine.tables import Audit
from tests.cspine.records import makers

pytestmark = pytest.mark.services


def test_a_preview_counts_what_cancelling_then_does(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        states = (State.DONE, State.SCREENING, State.RECEIVED, State.WAITING, State.FAILED, State.QUARANTINED,
                  State.CANCELLED)  # fmt: skip
        studies = {state: makers.study(session, own, state) for state in states}
        shared = studies[State.RECEIVED]
        makers.file(session, makers.batch(session, "other"), shared)
        seen = cancelling.preview(session, own)
        assert seen.as_dict() == {
            "studies": 5,
            "states": {"received": 1, "screening": 1, "waiting": 1, "failed": 1, "quarantined": 1},
            "running": 1,
            "answered": 1,
            "cancelled": 1,
            "shared": 1,
        }
        changed = cancelling.cancel(session, own, "ana")
        assert len(changed) == seen.studies
        assert studies[State.DONE].id not in changed
        after = cancelling.preview(session, own)
        assert (after.studies, after.answered, after.cancelled, after.shared) == (0, 1, 6, 0)
        session.refresh(own)
        assert own.cancelled_at
        assert batches.ledger(session, own).balanced


def test_a_running_attempt_is_superseded_and_the_audit_says_who_did_it(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        held = makers.study(session, own, State.SCREENING)
        running = screenings.shown(session, held.id)
        assert running
        attempt = makers.attempt(session, running, outcome="running")
        assert cancelling.cancel(session, own, "ana") == [held.id]
        session.refresh(attempt)
        session.refresh(held)
        assert attempt.outcome == "superseded"
        assert held.reason.startswith("Cancelled")
        found = [(row.actor, row.action, row.subject, row.detail) for row in session.scalars(select(Audit))]
    assert found == [("ana", "cancel_batch", own.id, {"studies": 1})]


def test_what_a_batch_only_sent_again_or_laid_beside_is_not_its_own(database: Database) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.FAILED)
        later = makers.batch(session, "later")
        makers.file(session, later, study, disposition=Disposition.NOT_AN_IMAGE, blob_key=None)
        makers.file(session, later, study, disposition=Disposition.DUPLICATE, original=False)
        assert cancelling.preview(session, later).studies == 0
        assert cancelling.cancel(session, later, "ana") == []
        assert screenings.shown(session, study.id).state == State.FAILED  # type: ignore[union-attr]


def test_more_studies_than_one_statement_takes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "CHUNK", 2)
    with database.write() as session:
        own = makers.batch(session)
        ids = {makers.study(session, own, State.READY).id for _ in range(5)}
        assert set(cancelling.cancel(session, own, "ana")) == ids
