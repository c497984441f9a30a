"""`cspine worker` and `cspine sweep` from the command line."""

import pytest

from cspine.__main__ import main
from cspine.database import Database
from cspine.settings import Settings
from cspine.states import State
from tests.cspine.records import work
from tests.cspine.records.test_sweep import LONG_AGO


@pytest.fixture
def installed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give the environment of an installation without a broker."""
    own = settings.model_copy(update={"redis_url": ""})
    for name, value in own.environment().items():
        monkeypatch.setenv(name, value)
    return own


def test_one_pass_of_the_sweep_says_what_it_did(
    installed: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    work.make(database, 2, State.WAITING, next_try_at=LONG_AGO)
    assert main(["sweep", "--once"]) == 0
    assert "expired leases 0, due retries 2, rung again 0" in capsys.readouterr().out


def test_a_worker_without_a_broker_is_told_so(installed: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--stage", "prepare"]) == 3
    assert "broker_unavailable" in capsys.readouterr().err


def test_an_unknown_stage_is_wrong_usage(installed: Settings) -> None:
    assert main(["worker", "--stage", "report"]) == 2
