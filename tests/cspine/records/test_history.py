"""The history of a study's attempts: why one was handed back."""

from functools import partial

import pytest

from cspine.database import Database
from cspine.reasons import Reason
from cspine.records import endings, freeing, history
from cspine.records.claims import Held
from cspine.settings import Settings
from cspine.states import State
from tests.cspine.records import work

pytestmark = pytest.mark.services


def test_it_says_why_a_study_was_handed_back(database: Database, settings: Settings) -> None:
    """By the real endings: a company whose first took its second, a worker that stops, a host that was lost."""
    first, second = work.make(database, 2, State.RECEIVED)

    def claim() -> Held:
        held = work.prepare(database, settings)
        assert held is not None
        return held

    held = claim()
    with database.write() as session:
        endings.settle(session, held, settings, back=held.members[1:])
    for end in (freeing.hand_back, partial(freeing.lost, settings=settings, reason=Reason.LEASE_EXPIRED)):
        held = claim()
        with database.write() as session:
            end(session, held.claim_id)
    with database.read() as session:
        done, back = (history.history(session, one) for one in (first, second))
    assert [one.sentence for one in done] == [None]
    lost = f"{Reason.LEASE_EXPIRED.sentence} Nothing is counted."
    assert [one.sentence for one in back] == [history.NOT_ITS_TURN, history.UNFINISHED, lost]
