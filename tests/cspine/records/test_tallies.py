"""Tallies: which attempts are another try of their study."""

import pytest

from cspine.database import Database
from cspine.failure import of_process
from cspine.reasons import Reason
from cspine.records import endings, freeing, tallies
from cspine.records.claims import Held
from cspine.settings import Settings
from cspine.states import Stage, State
from cspine.tables import Screening
from tests.cspine.records import work

pytestmark = pytest.mark.services


def test_what_was_handed_back_is_no_try(database: Database, settings: Settings) -> None:
    """Given back, failed, given back, done: two tries, of which the second is another one."""
    (only,) = work.make(database, 1, State.RECEIVED)

    def claim() -> Held:
        held = work.prepare(database, settings)
        assert held is not None
        return held

    def again() -> int:
        with database.read() as session:
            tally = tallies.Tally().complete(session)
        assert tally is not None
        return tally.attempts.again[Stage.PREPARE]

    def hand_back() -> None:
        held = claim()
        with database.write() as session:
            freeing.hand_back(session, held.claim_id)

    hand_back()
    held = claim()
    with database.write() as session:
        endings.settle(session, held, settings, {only: of_process(Reason.TIMED_OUT, Stage.PREPARE)})
        session.get_one(Screening, only).state = State.RECEIVED  # a person tries it again
    hand_back()
    assert again() == 0
    held = claim()
    with database.write() as session:
        endings.settle(session, held, settings)
    assert again() == 1
