"""The steps of the sweep that are tried by themselves."""

import pytest
from sqlalchemy import delete

from cspine.database import Database
from cspine.queue import Bell
from cspine.records import balance
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Batch, Screening
from tests.cspine.records import makers
from worker import steps
from worker.sweep import Sweep

pytestmark = pytest.mark.services


def test_the_ledgers_are_checked_and_what_does_not_balance_is_recorded(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        sound, broken = makers.batch(session, "sound"), makers.batch(session, "broken")
        makers.study(session, sound, State.RECEIVED)
        study = makers.study(session, broken)
        session.execute(delete(Screening).where(Screening.study_id == study.id))
    sweep = Sweep(settings, database, Bell(settings))
    monkeypatch.setattr(steps, "LEDGER_SECONDS", 0.0)  # time for one batch in each pass
    for left in (1, 0, 0):
        assert steps.ledgers(sweep) == []
        with database.read() as session:
            assert len(balance.due(session)) == left
    with database.read() as session:
        assert [batch.id for batch in balance.unbalanced(session)] == [broken.id]
        assert session.get_one(Batch, sound.id).ledger_checked_at


def test_the_sweep_checks_ledgers() -> None:
    assert [step.every_seconds for step in steps.STEPS if step.run is steps.ledgers] == [60]
