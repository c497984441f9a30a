"""`cspine replay`: what it prints, and how it ends."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from cspine.commands import release
from cspine.database import Database
from cspine.settings import Settings
from cspine.tables import Replay, Screening
from tests.cspine.commands.test_commands import Shell
from tests.cspine.records.night import Night

pytestmark = pytest.mark.services


@pytest.fixture
def night(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> Night:
    """Point the environment to the test's installation; every release loads."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(release, "load", lambda *_: 0)
    return Night(database)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def begun(shell: Shell, night: Night) -> dict[str, Any]:
    return shell.lines("replay", "night", "--release", night.new.identity, "--json")[0]


def replay_of(database: Database) -> Replay:
    with database.read() as session:
        return session.scalars(select(Replay)).one()


def test_a_batch_begins_its_replay(shell: Shell, night: Night) -> None:
    told = begun(shell, night)
    assert {name: told[name] for name in ("batch", "state", "studies", "answered", "waiting", "failed")} == {
        "batch": "night", "state": "running", "studies": 5, "answered": 0, "waiting": 5, "failed": 0,
    }  # fmt: skip
    assert "No worker for replays runs" in shell.error
    again = begun(shell, night)
    assert again["replay"] == told["replay"]
    assert "under way" in shell.error
    assert [one["replay"] for one in shell.lines("replay", "list", "--batch", "night", "--json")] == [told["replay"]]


def test_compared_and_promoted(shell: Shell, night: Night, database: Database, settings: Settings) -> None:
    id_ = begun(shell, night)["replay"]
    shell("replay", "promote", id_, status=2)
    assert "still to be answered" in shell.error
    night.answer(replay_of(database), settings)
    told = shell.lines("replay", "show", id_[:6], "--json")[0]
    assert (told["state"], told["compared"], told["changed"], told["kappa"], told["mcnemar_p"]) == (
        "complete", 5, 3, 0.0, 1.0,
    )  # fmt: skip
    assert {"before": "dislocation", "after": "fracture", "studies": 1} in told["labels"]
    assert {one["study"] for one in told["changes"]} == {night.ids[1], night.ids[3], night.ids[4]}
    text = shell("replay", "show", id_)
    for words in ("same label: 2 of 5, 40.0% [11.8%, 76.9%]; Cohen's kappa 0.000", "McNemar's exact test p = 1",
                  "Changed studies, 3 of 3"):  # fmt: skip
        assert words in text, words
    assert "5 studies show the candidate's answer now." in shell("replay", "promote", id_)
    assert json.loads(shell("replay", "list", "--json"))["state"] == "promoted"
    shell("replay", "promote", id_, status=2)
    shell("replay", "cancel", id_, status=2)


def test_a_promotion_says_who_keeps_what_they_show(
    shell: Shell, night: Night, database: Database, settings: Settings
) -> None:
    id_ = begun(shell, night)["replay"]
    held = night.claim(replay_of(database), settings.model_copy(update={"screen_batch": 2}))
    assert held
    night.fail(held, settings)
    night.answer(replay_of(database), settings)
    assert shell.lines("replay", "show", id_, "--json", status=1)[0]["failed"] == 2
    told = shell.lines("replay", "promote", id_, "--json", status=1)[0]
    assert told == {"replay": id_, "promoted": 3, "unanswered": 2, "moved": 0}


def test_cancelled(shell: Shell, night: Night, database: Database) -> None:
    id_ = begun(shell, night)["replay"]
    assert "nothing that is shown has changed" in shell("replay", "cancel", id_)
    with database.read() as session:
        assert set(session.scalars(select(Screening.state).where(Screening.shadow))) == {"cancelled"}
    assert "cancelled" in shell("replay", "list")


def test_waiting_ends_where_the_candidate_cannot_be_loaded(
    shell: Shell, night: Night, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cspine.commands import replay
    from cspine.records import shadows

    def stop(seconds: float) -> None:
        with database.write() as session:
            shadows.not_loaded(session, replay_of(database).id, "tiny 2: model.keras: not that of its sum", final=True)

    monkeypatch.setattr(replay.time, "sleep", stop)
    text = shell("replay", "night", "--release", night.new.identity[:8], "--wait", status=1)
    assert "stopped" in text
    assert "could not be loaded: tiny 2: model.keras" in text


def test_a_release_that_does_not_load_begins_nothing(
    shell: Shell, night: Night, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "load", lambda *_: 1)
    shell("replay", "night", "--release", night.new.identity, status=1)
    assert "Not begun: demo 2" in shell.error
    with database.read() as session:
        assert session.scalars(select(Replay)).all() == []


@pytest.mark.parametrize(
    "arguments",
    [("nothing", "--release", "0"), ("night",), ("night", "--release", "unknown"), ("show", "unknown")],
    ids=["no batch", "no release named", "no release", "no replay"],
)
def test_wrong_usage(shell: Shell, night: Night, arguments: tuple[str, ...]) -> None:
    shell("replay", *arguments, status=2)
