"""The check of the ledgers: what does not balance is found, recorded once, and cleared when it balances again."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from cspine.database import Database, now
from cspine.records import balance
from cspine.states import Disposition, State
from cspine.tables import Audit, Batch, Screening
from tests.cspine.records import makers

pytestmark = pytest.mark.services


def checked(database: Database) -> list[tuple[str, bool]]:
    with database.write() as session:
        counts = [balance.count(session, batch_id) for batch_id in balance.due(session)]
        return [(one.batch_id, one.balanced) for one in balance.note(session, counts)]


def forget_the_check(database: Database, age: timedelta) -> None:
    with database.write() as session:
        session.execute(update(Batch).values(ledger_checked_at=now(session) - age))


def test_a_sound_ledger_is_counted_and_nothing_is_recorded(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        study = makers.study(session, own)
        makers.file(session, own, study, disposition=Disposition.DUPLICATE, original=False)
        makers.file(session, own, disposition=Disposition.REJECTED, reason="corrupt")
        makers.study(session, own, State.PREPARING)
        counted = balance.count(session, own.id)
        assert balance.count(session, makers.batch(session, "empty").id).balanced
    assert (counted.received, counted.buckets) == (4, {"analysed": 1, "duplicate": 1, "rejected": 1, "waiting": 1})
    assert counted.balanced
    assert checked(database) == []
    with database.read() as session:
        assert balance.unbalanced(session) == []
        assert balance.due(session) == []
        assert session.scalars(select(Audit)).all() == []


def test_a_lost_file_is_recorded_once_and_cleared_when_it_is_found(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        study = makers.study(session, own)
        session.execute(delete(Screening).where(Screening.study_id == study.id))
    assert checked(database) == [(own.id, False)]
    forget_the_check(database, balance.OFTEN * 2)
    assert checked(database) == []  # it is known
    with database.read() as session:
        assert [batch.id for batch in balance.unbalanced(session)] == [own.id]
    with database.write() as session:
        session.add(Screening(study_id=study.id, state=State.DONE, lane="normal", created_at=makers.NIGHT,
                              changed_at=makers.NIGHT))  # fmt: skip
    forget_the_check(database, balance.OFTEN * 2)
    assert checked(database) == [(own.id, True)]
    with database.read() as session:
        assert balance.unbalanced(session) == []
        found = [(row.actor, row.action, row.subject) for row in session.scalars(select(Audit).order_by(Audit.id))]
        detail = session.scalars(select(Audit.detail).order_by(Audit.id)).first()
    assert found == [("system", "ledger_unbalanced", own.id), ("system", "ledger_balanced", own.id)]
    assert detail == {"received": 1, "buckets": {"lost": 1}}


def test_a_disposition_that_nobody_knows_is_no_bucket(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        makers.file(session, own, disposition="odd")
        assert not balance.count(session, own.id).balanced


def test_new_batches_are_checked_often_and_old_ones_seldom(database: Database) -> None:
    with database.write() as session:
        makers.batch(session, "old")
        new = makers.batch(session, "new", created_at=now(session))
    checked(database)
    forget_the_check(database, balance.OFTEN * 2)
    with database.read() as session:
        assert balance.due(session) == [new.id]
    forget_the_check(database, balance.SELDOM * 2)
    with database.read() as session:
        assert len(balance.due(session)) == 2
    forget_the_check(database, -balance.SELDOM)  # a clock was set back
    with database.read() as session:
        assert len(balance.due(session)) == 2
