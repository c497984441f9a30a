"""A small night in which the screen worker is killed: one answer for each study, none lost, none twice."""

from pathlib import Path

import pytest

from cspine.blobs import BlobStore
from cspine.commands.service import Service
from cspine.database import Database
from cspine.queue import Bell
from cspine.settings import Settings
from tests.integration import night
from tests.integration.house import with_demo

pytestmark = pytest.mark.services

STUDIES, BATCH = 24, 4


def test_a_killed_worker_loses_nothing_and_counts_nothing_twice(
    settings: Settings, database: Database, demo_export: Path
) -> None:
    settings = settings.model_copy(update={"screen_batch": BATCH})
    with_demo(Service(settings, database, BlobStore(settings.blobs), Bell(settings)), demo_export)
    killed: list[str] = []
    ledger, counts = night.run(settings, STUDIES, kills=1, redis_restarts=0, say=killed.append)
    assert len(killed) == 1
    assert ledger.balanced
    assert (ledger.received, ledger.analysed, ledger.studies, ledger.images) == (STUDIES,) * 4
    assert counts.sound(STUDIES)
    assert counts.attempts["screen crashed"] >= 1
    assert counts.attempts["screen done"] == STUDIES
    assert counts.attempts["prepare done"] == STUDIES
