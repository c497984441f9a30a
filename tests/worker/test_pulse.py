"""The pulse of a worker and of a sweep: it says that this process works, and nothing of the services it needs."""

import os
from contextlib import suppress

import pytest

from cspine.database import Database
from cspine.embedded.pulse import Pulse, path
from cspine.errors import CspineError, ServiceFault
from cspine.queue import Bell
from cspine.settings import Settings
from worker.commands import worker
from worker.sweep import Sweep

pytestmark = pytest.mark.services


def test_a_sweep_beats_while_the_database_is_away(settings: Settings) -> None:
    """Else whoever watches over it would start it anew, for as long as the outage lasts."""
    own = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    sweep = Sweep(own, Database("sqlite+pysqlite:////no/such/folder/x.db"), Bell(own))
    file = path(settings.var, os.getpid())
    for _ in range(2):
        file.unlink(missing_ok=True)
        with pytest.raises(ServiceFault):
            sweep.once()
        assert file.exists()


def test_the_pulse_of_a_worker_before_with_the_same_id_is_removed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container every start has the same id, and one that waits for its broker has no pulse of its own yet."""
    monkeypatch.setenv("CSPINE_VAR", str(settings.var))
    monkeypatch.setenv("REDIS_URL", "")
    Pulse(settings).beat()
    with suppress(CspineError):  # there is no broker
        worker.main(["--stage", "prepare"], standalone_mode=False)
    assert not path(settings.var, os.getpid()).exists()
