"""The command line's contract: what it prints with --json, and how it ends."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from cspine.__main__ import COMMANDS, main
from cspine.commands import release
from cspine.commands.release import DEMO
from cspine.database import Database
from cspine.ledger import BUCKETS
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Screening

pytestmark = pytest.mark.services


@pytest.fixture
def night(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Point the environment to the test's installation, and make two pictures, a double and a broken file."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "night"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (90, 70), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "double.png").write_bytes((folder / "0.png").read_bytes())
    (folder / "page.png").write_text("<html>")
    return folder


class Shell:
    """Runs the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.error = ""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        assert main(list(arguments)) == status
        text, self.error = self._capsys.readouterr()
        return text

    def lines(self, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self(*arguments, status=status).splitlines()]


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def screen(shell: Shell, night: Path) -> dict[str, Any]:
    return shell.lines("screen", str(night), "--batch", "night", "--lane", "overnight", "--json", status=1)[0]


def give_up(database: Database) -> None:
    """Let every study of the night fail alike."""
    with database.write() as session:
        values = {"state": State.FAILED, "reason": "corrupt", "error_kind": "permanent", "fingerprint": "f00"}
        session.execute(update(Screening).values(**values))


def test_screen_prints_the_ledger_and_says_that_no_worker_runs(shell: Shell, night: Path) -> None:
    ledger = screen(shell, night)
    assert "No worker runs" in shell.error
    assert [ledger[bucket] for bucket in ("received", *BUCKETS)] == [4, 0, 1, 0, 1, 0, 0, 0, 2]
    assert (ledger["balanced"], ledger["batch"]) == (True, "night")
    buckets = {one["file"]: (one["bucket"], one["reason"]) for one in ledger["files"]}
    assert buckets == {"0.png": ("waiting", None), "1.png": ("waiting", None), "double.png": ("duplicate", None),
                       "page.png": ("rejected", "unsupported_type")}  # fmt: skip
    assert set(ledger["files"][0]) == {"file", "bucket", "reason", "flags", "study"}


def test_ledger_is_the_same_object_and_continues_a_batch(shell: Shell, night: Path) -> None:
    first = screen(shell, night)
    assert shell.lines("ledger", "night", "--json", status=1) == [first]
    again = screen(shell, night)
    assert (again["received"], again["duplicate"], again["studies"]) == (8, 5, 2)


def test_triage_prints_an_object_a_line(shell: Shell, night: Path) -> None:
    screen(shell, night)
    rows = shell.lines("triage", "--json")
    assert [row["bucket"] for row in rows] == ["not_analysed"] * 3
    assert {"study", "bucket", "reason", "label", "urgency", "probabilities", "flags", "release"} <= set(rows[0])
    assert rows[2]["reason"] == "1 file of batch night could not be read"
    assert len(shell.lines("triage", "--json", "--limit", "1")) == 1


def test_failures_and_retry(shell: Shell, night: Path, database: Database) -> None:
    screen(shell, night)
    give_up(database)
    group = shell.lines("failures", "--json")[0]
    assert list(group) == ["fingerprint", "count", "kind", "reason", "release", "station", "first_seen", "last_seen",
                           "studies"]  # fmt: skip
    assert (group["fingerprint"], group["count"], group["kind"]) == ("f00", 2, "permanent")
    dry = shell.lines("retry", "--group", "f00", "--dry-run", "--json")
    assert dry == [{"selected": 2, "retried": 2, "skipped": [], "dry_run": True}]
    one = group["studies"][0]
    assert shell.lines("retry", one, "--json")[0]["retried"] == 1
    assert shell.lines("retry", one, "--json", status=1)[0]["skipped"] == [{"study": one, "reason": "is_received"}]
    assert shell.lines("retry", "--batch", "night", "--json")[0]["retried"] == 1
    assert shell.lines("retry", "--all", "--json")[0]["selected"] == 0


def test_discard_and_cancel(shell: Shell, night: Path) -> None:
    study = screen(shell, night)["files"][0]["study"]
    assert "1 of 1" in shell("discard", study, "--reason", "sent twice")
    assert "1 of 1" not in shell("discard", study, "--reason", "again", status=1)
    assert "1 studies" in shell("cancel", "night")
    assert shell.lines("ledger", "night", "--json", status=1)[0]["cancelled"] == 2


def test_a_release_is_loaded_and_exported_before_it_is_active(
    shell: Shell, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = shell("release", "import", str(DEMO)).split()[-1]
    monkeypatch.setattr(release, "find_spec", lambda name: None)
    assert "active: demo" in shell("release", "activate", identity[:12])
    assert "TensorFlow is not installed here" in shell.error
    monkeypatch.setattr(release, "find_spec", lambda name: name)
    called: list[list[str]] = []
    ends = iter([0, -9, 0, -9, -9, 3])

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        called.append(command[1:])
        return subprocess.CompletedProcess([], next(ends))

    monkeypatch.setattr(release.subprocess, "run", run)
    whole, bare = (["-m", "cspine", "export", "--load", content, identity] for content in ("enough", "only"))
    shell("release", "activate", identity)
    assert (called, shell.error) == ([whole], "")
    assert "active: demo" in shell("release", "activate", identity)
    assert called[1:] == [whole, bare]
    assert "too little memory" in shell.error
    assert "active" not in shell("release", "activate", identity, status=1)
    assert "active" not in shell("release", "activate", identity, status=3)
    assert "Not activated: demo" in shell.error


@pytest.mark.parametrize(
    "arguments",
    [["ledger", "nothing"], ["retry"], ["retry", "x", "--all"], ["screen", "/no/such/path"], ["nonsense"],
     ["release", "show", "ffff"], ["release", "activate", "ffff"]],
)  # fmt: skip
def test_wrong_usage_ends_with_2(shell: Shell, night: Path, arguments: list[str]) -> None:
    shell(*arguments, status=2)


def test_every_command_has_help(shell: Shell) -> None:
    for name in COMMANDS:
        assert "Usage:" in shell(name, "--help")


def test_doctor_names_what_is_missing(shell: Shell, night: Path) -> None:
    words = shell("doctor", status=3)
    assert "ok   database" in words
    assert "BAD  release: none is active" in words
    assert "BAD  screen: no process is alive" in words
