"""A small night in which the screen worker is killed: one answer for each study, none lost, none twice."""

import pytest

from cspine.settings import Settings
from tests.integration import night

pytestmark = pytest.mark.services

STUDIES = 40


def test_a_killed_worker_loses_nothing_and_counts_nothing_twice(settings: Settings) -> None:
    killed: list[str] = []
    ledger, counts = night.run(settings, STUDIES, kills=1, redis_restarts=0, say=killed.append)
    assert len(killed) == 1
    assert ledger.balanced
    assert (ledger.received, ledger.analysed, ledger.studies, ledger.images) == (STUDIES,) * 4
    assert counts.sound(STUDIES)
    assert counts.attempts["screen crashed"] >= 1
    assert counts.attempts["screen done"] == STUDIES
    assert counts.attempts["prepare done"] == STUDIES
