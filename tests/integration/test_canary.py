"""Twenty studies that fail by one bug, and eight by another under the same reason, with real workers."""

import pytest

from cspine.settings import Settings
from tests.integration import canary

pytestmark = pytest.mark.services


def test_a_canary_wastes_three_runs_at_most_and_a_retry_after_the_repair_clears_its_group(settings: Settings) -> None:
    said: list[str] = []
    report = canary.run(settings, studies=28, others=8, say=said.append, whole=False)
    assert report.faults() == [], "\n".join(said)
    assert report.steps[1].failed_runs == 2
