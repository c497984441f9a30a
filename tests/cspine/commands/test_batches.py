"""Batches and lanes on the command line: deadline, forecast, pause, cancel, and the ledger as CSV."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from cspine.database import Database, now
from cspine.records import balance, batches, pauses
from cspine.settings import Settings
from cspine.states import Lane, State
from cspine.tables import Batch
from tests.cspine.commands.test_commands import Shell
from tests.cspine.records import makers

pytestmark = pytest.mark.services


@pytest.fixture
def shell(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Give a command line of the test's own installation, whose site is Vienna."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CSPINE_TIMEZONE", "Europe/Vienna")
    return Shell(capsys)


def night(database: Database, *states: State) -> Batch:
    with database.write() as session:
        own = makers.batch(session)
        for state in states:
            makers.study(session, own, state)
    return own


def test_pause_and_resume_say_what_stands_still(shell: Shell, database: Database) -> None:
    assert shell("pause", "--reason", "power cut").startswith("The whole queue is paused.")
    shell("pause", "--lane", "overnight", "--reason", "the scanner is being serviced")
    again = shell("pause", "--lane", "overnight", "--reason", "another thing")
    assert again.startswith("Lane overnight was paused already, by command line at 2")
    assert again.endswith("UTC: the scanner is being serviced\n")
    with database.read() as session:
        assert pauses.closed_lanes(session) == frozenset(Lane)
    assert "WARN pause: the whole queue is paused by command line: power cut" in shell("doctor", status=3)
    told = shell("resume")
    assert told.startswith("The whole queue goes on.\nLane overnight is still paused, by command line: the scanner")
    assert shell("resume", status=1).startswith("The whole queue was not paused.")
    assert shell("resume", "--lane", "overnight", "--reason", "repaired").startswith("Lane overnight goes on.")
    shell("pause", status=2)
    shell("pause", "--lane", "nightly", "--reason", "x", status=2)
    shell("pause", "--reason", " ", status=2)


def test_a_dry_run_of_cancel_changes_nothing(shell: Shell, database: Database) -> None:
    own = night(database, State.DONE, State.RECEIVED, State.SCREENING, State.FAILED)
    seen = json.loads(shell("cancel", own.name, "--dry-run", "--json"))
    assert seen == {"batch": own.name, "studies": 3, "states": {"received": 1, "screening": 1, "failed": 1},
                    "running": 1, "answered": 1, "cancelled": 0, "shared": 0, "dry_run": True}  # fmt: skip
    with database.read() as session:
        assert batches.ledger(session, own).cancelled == 0
    assert shell("cancel", own.name, "--dry-run").startswith("3 studies of batch night would be cancelled, 1 keep")
    assert shell("cancel", own.name).startswith("3 studies of batch night are cancelled, 1 keep their answer.")
    with database.read() as session:
        assert batches.ledger(session, own).cancelled == 3
    shell("cancel", "no such batch", status=2)


def test_a_batchs_forecast_says_why_no_end_is_known(shell: Shell, database: Database) -> None:
    own = night(database, State.DONE, State.RECEIVED)
    told = json.loads(shell("forecast", own.name, "--json"))
    assert list(told) == ["batch", "made_at", "waiting", "ends_at", "why", "per_minute", "deadline", "late"]
    assert (told["waiting"], told["ends_at"], told["why"], told["late"]) == (1, None, "no_worker", False)
    assert shell("forecast", own.name).startswith("Batch night: No worker is ready")
    shell("pause", "--reason", "power cut")
    assert json.loads(shell("forecast", own.name, "--json"))["why"] == "paused"
    shell("forecast", "no such batch", status=2)


def test_a_deadline_is_the_sites_and_doctor_warns_that_it_will_be_missed(shell: Shell, database: Database) -> None:
    own = night(database, State.DONE, State.RECEIVED)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    told = shell("deadline", own.name, f"{tomorrow:%Y-%m-%d}T12:00+00:00").splitlines()
    site = tomorrow.replace(hour=12, minute=0).astimezone(ZoneInfo("Europe/Vienna"))
    assert told[0] == f"Batch night is to be done by {site:%Y-%m-%d %H:%M} (Europe/Vienna)."
    assert "will be missed" in told[1]
    with database.read() as session:
        deadline = session.get_one(Batch, own.id).deadline
    assert deadline == tomorrow.replace(hour=12, minute=0, second=0, microsecond=0)
    assert json.loads(shell("forecast", own.name, "--json"))["late"]
    assert "WARN deadline: batch night: No worker is ready" in shell("doctor", status=3)
    assert shell("deadline", own.name, "none") == "Batch night has no deadline.\n"
    assert "WARN deadline" not in shell("doctor", status=3)
    shell("deadline", own.name, "soon", status=2)
    shell("deadline", "no such batch", "07:00", status=2)


def test_doctor_warns_of_a_ledger_that_does_not_balance(shell: Shell, database: Database) -> None:
    own = night(database, State.DONE)
    with database.write() as session:
        session.execute(update(Batch).values(unbalanced_since=now(session)))
        assert [one.id for one in balance.unbalanced(session)] == [own.id]
    assert "WARN ledger: batch night does not balance" in shell("doctor", status=3)


def test_screen_takes_a_deadline_and_refuses_what_is_none_before_it_stores_anything(
    shell: Shell, database: Database, tmp_path: Path
) -> None:
    picture = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 70), dtype=np.uint8)).save(picture)
    shell("screen", str(picture), "--batch", "night", "--deadline", "25:00", status=2)
    with database.read() as session:
        assert batches.by_name(session, "night") is None
    shell("screen", str(picture), "--batch", "night", "--deadline", "07:00")
    shell("screen", str(picture), "--batch", "night")  # continued without one, it keeps it
    with database.read() as session:
        own = batches.by_name(session, "night")
        moment = now(session)
    assert own is not None
    assert own.deadline is not None
    assert moment < own.deadline <= moment + timedelta(hours=25)
    assert "07:00" in shell("batches")


def test_the_ledger_as_csv(shell: Shell, database: Database) -> None:
    own = night(database, State.DONE, State.FAILED)
    with database.write() as session:
        makers.file(session, own, name="=cmd|'/c calc'!A1", disposition="rejected", reason="corrupt")
    rows = list(csv.DictReader(io.StringIO(shell("ledger", own.name, "--csv", status=1), newline="")))
    assert [row["bucket"] for row in rows] == ["analysed", "failed", "rejected"]
    assert rows[2]["file"] == "'=cmd|'/c calc'!A1"
    shell("ledger", own.name, "--csv", "--json", status=2)
