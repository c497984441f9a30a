"""Retries on the command line: a filter, a canary, and what it says becomes of them."""

from typing import Any

import pytest
from sqlalchemy import select, update

from cspine import retrying
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Bulk, ReceivedFile, Screening
from tests.conftest import GIVEN_REDIS
from tests.cspine.commands.test_commands import Shell
from tests.cspine.records import crowd, makers

pytestmark = pytest.mark.services


@pytest.fixture
def shell(settings: Settings, database: Database, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch,
          capsys: pytest.CaptureFixture[str]) -> Shell:  # fmt: skip
    """Give a command line of an installation with five studies that failed in one way, and one in another."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    with database.write() as session:
        night, other = makers.batch(session), makers.batch(session, "other night")
        crowd.failed(session, night, 5, station="XR1")
        crowd.failed(session, other, 1, "f2", State.QUARANTINED, "poison")
        session.execute(update(ReceivedFile).values(blob_key=blobs.put_bytes(b"film")))
    return Shell(capsys)


def test_a_group_is_tried_by_a_canary(shell: Shell, settings: Settings, database: Database) -> None:
    dry = shell("retry", "--group", "f1", "--dry-run")
    assert dry.splitlines() == [
        "5 of 5 studies would be sent back to work.", "1 would run first; the others follow if they succeed.",
    ]  # fmt: skip
    with database.read() as session:
        assert session.scalars(select(Bulk)).all() == [], "what was only looked at is not kept"
    (done,) = shell.lines("retry", "--group", "f1", "--json")
    bulk_id = done.pop("retry")
    assert done == {"selected": 5, "retried": 5, "skipped": [], "dry_run": False, "canary": 1, "held": 4,
                    "state": "canary", "outcome": None}  # fmt: skip
    (listed,) = shell.lines("retries", bulk_id, "--json")
    assert (listed["state"], listed["sent"], listed["held"], listed["what"]) == ("canary", 1, 4, "all of group f1")
    (canary,) = crowd.waiting(database)
    crowd.end(database, settings, canary, crowd.bug())
    retrying.step(database, settings)
    listed_as_text = shell("retries")
    assert "stopped" in listed_as_text
    assert "outcome" in listed_as_text
    (stopped,) = shell.lines("retries", "--json")
    assert stopped["outcome"].startswith("1 of 1 tried first failed again")
    shell("retries", "no-such", status=2)


@pytest.mark.parametrize("fails", [True, False])
def test_a_canary_that_ends_while_the_command_runs(
    shell: Shell, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Workers are quicker than the command: what it says then is not what it was asked to do, but what came of it."""
    true = retrying.finish
    with database.write() as session:
        makers.release(session)

    def finish(*arguments: Any) -> None:
        for id_ in crowd.waiting(database):
            crowd.end(database, settings, id_, crowd.bug() if fails else None)
        true(*arguments)

    monkeypatch.setattr(retrying, "finish", finish)
    (done,) = shell.lines("retry", "--group", "f1", "--json", status=int(fails))
    assert done.pop("retry")
    if not fails:
        assert done == {"selected": 5, "retried": 5, "skipped": [], "dry_run": False, "canary": 1, "held": 0,
                        "state": "done", "outcome": None}  # fmt: skip
        return
    assert done.pop("outcome").startswith("1 of 1 tried first failed again")
    assert done == {"selected": 5, "retried": 1, "skipped": [], "dry_run": False, "canary": 1, "held": 4,
                    "state": "stopped"}  # fmt: skip
    told = shell("retry", "--group", "f1", status=1).splitlines()
    assert told[0] == "1 of 4 studies are sent back to work.", "the first has failed in another way by now"
    assert told[1].startswith("stopped: 1 of 1 tried first failed again")


def test_of_what_has_no_member_nothing_is_kept(shell: Shell, database: Database) -> None:
    for action in (["retry"], ["discard", "--reason", "x"]):
        shell(*action, "--group", "zzz", status=2)
        assert "nothing of this group has failed" in shell.error
        assert shell(*action, "--filter", "reason=corrupt").startswith("0 of 0 studies")
        assert shell(*action, "--filter", "fingerprint=zzz").startswith("0 of 0 studies")
    with database.write() as session:
        makers.batch(session, "empty night")
    shell("retry", "--batch", "empty night", "--dry-run", status=2)
    assert shell.lines("retries", "--json") == []
    with database.read() as session:
        assert session.scalars(select(Bulk)).all() == []


def test_a_canary_is_a_choice(shell: Shell, database: Database) -> None:
    told = shell("retry", "--batch", "night", "--canary")
    assert "1 run first; the others follow if they succeed." in told
    assert ("The broker does not run" in told) is not bool(GIVEN_REDIS)
    assert "are sent back to work" in shell("retry", "--group", "f2", "--no-canary")
    assert len(crowd.waiting(database)) == 2


def test_filters_choose_for_all_three(shell: Shell, database: Database) -> None:
    assert [one["fingerprint"] for one in shell.lines("failures", "--filter", "station=XR1", "--json")] == ["f1"]
    assert [one["fingerprint"] for one in shell.lines("failures", "--filter", "batch=other night", "--json")] == ["f2"]
    assert "0 / 0 / 0" in shell("failures", "--filter", "state=quarantined", "--filter", "reason=poison")
    assert shell.lines("retry", "--filter", "reason=poison", "--json")[0]["retried"] == 1
    assert shell("discard", "--filter", "kind=unknown", "--reason", "sent twice", "--dry-run").startswith("5 of 5")
    assert shell("discard", "--group", "f1", "--reason", "sent twice").startswith("5 of 5 studies are cancelled.")
    with database.read() as session:
        assert sorted(session.scalars(select(Screening.state))) == ["cancelled"] * 5 + ["received"]


@pytest.mark.parametrize(
    "arguments",
    [["retry", "--filter", "station"], ["retry", "--filter", "colour=red"], ["failures", "--filter", "kind=odd"],
     ["retry", "--filter", "batch=none"], ["discard", "--reason", "x"], ["retry", "--all", "--filter", "kind=unknown"],
     *(["discard", "--all", "--reason", reason] for reason in (" ", "x" * 401, "a\nb", "\x1b[31m"))],
)  # fmt: skip
def test_wrong_usage(shell: Shell, arguments: list[str]) -> None:
    shell(*arguments, status=2)
