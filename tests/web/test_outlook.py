"""When a batch will be done, its deadline, the warning, and its ledger as CSV."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from cspine.database import Database
from cspine.forecast import Why
from cspine.records import heartbeats, pauses
from cspine.settings import Settings
from cspine.states import Disposition, State
from cspine.tables import Audit, Batch
from tests.cspine.records import makers, pacing
from tests.web.conftest import Browser
from web.batches import outlook

pytestmark = pytest.mark.services


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"site_timezone": "Europe/Vienna"})


@pytest.fixture
def batch(database: Database) -> str:
    """Make a batch of thirty studies that wait; return its id."""
    with database.write() as session:
        own = makers.batch(session)
        for _ in range(30):
            makers.study(session, own, State.RECEIVED)
        return own.id


def deadline(database: Database, batch: str) -> datetime | None:
    with database.read() as session:
        return session.get_one(Batch, batch).deadline


def test_without_workers_no_end_is_known(reader: Browser, batch: str) -> None:
    words = Why.NO_WORKER.words
    assert words in reader.get(f"/batches/{batch}").text
    told = reader.get(f"/batches/{batch}/forecast").json
    assert told
    assert (told["id"], told["ends_at"], told["why"], told["words"]) == (batch, None, "no_worker", words)


def test_the_end_follows_from_the_throughput(reader: Browser, batch: str, database: Database) -> None:
    with database.write() as session:
        pacing.work(session, seconds=2.0)
    text = reader.get(f"/batches/{batch}").text
    assert "30 studies are left; done by " in text
    assert "studies a minute lately" in text
    told = reader.get(f"/batches/{batch}/forecast").json
    assert told
    assert told["waiting"] == 30
    assert datetime.fromisoformat(told["ends_at"]) > datetime.now(UTC)
    assert told["per_minute"] > 0
    assert told["late"] is False


def test_a_deadline_by_the_sites_clock_and_none_again(reader: Browser, batch: str, database: Database) -> None:
    answer = reader.post(f"/batches/{batch}/deadline", {"deadline": "2100-12-01 07:00"})
    assert (answer.status_code, answer.location) == (303, f"/batches/{batch}")
    assert deadline(database, batch) == datetime(2100, 12, 1, 6, 0, tzinfo=UTC)
    text = reader.get(f"/batches/{batch}").text
    assert 'value="2100-12-01 07:00"' in text
    assert "The deadline is set." in text
    reader.post(f"/batches/{batch}/deadline", {"deadline": "07:00"})
    set_ = deadline(database, batch)
    assert set_ is not None
    assert set_ - datetime.now(UTC) < timedelta(hours=25)
    reader.post(f"/batches/{batch}/deadline", {"deadline": " "})
    assert deadline(database, batch) is None
    with database.read() as session:
        assert session.scalars(select(Audit.actor).where(Audit.action == "set_deadline")).all() == ["rita"] * 3


@pytest.mark.parametrize("typed", ["soon", "25:00", "2020-01-01 07:00", "<b>7</b>"])
def test_what_is_no_deadline_is_said(reader: Browser, batch: str, database: Database, typed: str) -> None:
    assert reader.post(f"/batches/{batch}/deadline", {"deadline": typed}).status_code == 303
    assert "Not set: " in reader.get(f"/batches/{batch}").text
    assert deadline(database, batch) is None
    assert reader.post("/batches/nothing/deadline", {"deadline": "07:00"}).status_code == 404
    assert reader.get("/batches/nothing/forecast").status_code == 404


def test_a_deadline_that_will_be_missed_is_a_warning_there_and_on_the_list(
    reader: Browser, batch: str, database: Database
) -> None:
    with database.write() as session:
        pacing.work(session, seconds=20.0)
        session.get_one(Batch, batch).deadline = datetime.now(UTC) + timedelta(minutes=1)
    text = reader.get(f"/batches/{batch}").text
    assert "will be missed." in text.split('role="alert" data-late>')[1].split("</p>")[0]
    told = reader.get(f"/batches/{batch}/forecast").json
    assert told
    assert told["late"] is True
    assert 'class="banner late"' in reader.get("/batches").text
    with database.write() as session:
        session.get_one(Batch, batch).deadline = datetime.now(UTC) + timedelta(days=1)
    assert 'role="alert" data-late hidden>' in reader.get(f"/batches/{batch}").text
    assert 'class="banner late"' not in reader.get("/batches").text


def test_a_paused_lane_is_why_no_end_is_known(reader: Browser, batch: str, database: Database) -> None:
    with database.write() as session:
        heartbeats.beat(session, "host:prepare:1", "prepare")
        pauses.pause(session, "normal", "service of the scanner", "ada")
    text = reader.get(f"/batches/{batch}").text
    assert Why.PAUSED.words in text
    assert "service of the scanner" in text


def test_the_ledger_as_csv_has_a_line_for_each_file(reader: Browser, batch: str, database: Database,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(outlook, "CHUNK", 10)
    with database.write() as session:
        own = session.get_one(Batch, batch)
        makers.file(session, own, disposition=Disposition.REJECTED, reason="truncated", name='=cmd|"x"!A1')
        other = makers.batch(session, name="other")
        makers.study(session, other)
    assert f'href="/batches/{batch}/ledger.csv"' in reader.get(f"/batches/{batch}").text
    answer = reader.get(f"/batches/{batch}/ledger.csv")
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="cspine-ledger-{batch}.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 31
    assert {row["bucket"] for row in rows} == {"waiting", "rejected"}
    assert rows[-1]["file"].startswith("'=")
    assert rows[-1]["reason"] == "truncated"
    assert reader.get("/batches/nothing/ledger.csv").status_code == 404


def test_the_ledger_of_an_empty_batch_is_its_heading(reader: Browser, stranger: Browser, database: Database) -> None:
    with database.write() as session:
        batch = makers.batch(session).id
    assert len(reader.get(f"/batches/{batch}/ledger.csv").text.splitlines()) == 1
    assert stranger.get(f"/batches/{batch}/ledger.csv").status_code == 302
