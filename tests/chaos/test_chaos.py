"""The short form of `make chaos`: one seed, 150 studies, each kind of fault once.

It brings a PostgreSQL and a Redis of its own, whatever the other tests run against.
"""

import pytest

from tests.chaos import __main__ as command
from tests.chaos.run import run
from tests.servers import missing

pytestmark = pytest.mark.servers

SEED = 1


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_night_of_chaos_loses_nothing_doubles_nothing_and_blames_nobody() -> None:
    said: list[str] = []
    verdict = run(SEED, short=True, say=said.append)
    command.report(SEED, verdict, 0.0)  # shown where the test fails
    assert verdict.sound, "\n".join([*said, *verdict.faults])
    assert verdict.ledger.quarantined == 3
    assert verdict.received >= 150
