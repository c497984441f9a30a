"""What waits in each lane."""

import pytest

from cspine.database import Database
from cspine.records import screenings, waiting
from cspine.records.waiting import Waiting
from cspine.states import Lane, State
from tests.cspine.records import makers

pytestmark = pytest.mark.services


def test_every_lane_is_counted_by_what_it_waits_for(database: Database) -> None:
    with database.write() as session:
        batch = makers.batch(session)
        for minutes, state in ((9, State.RECEIVED), (5, State.READY), (3, State.PREPARING), (2, State.WAITING),
                               (1, State.DONE), (0, State.CANCELLED)):  # fmt: skip
            makers.study(session, batch, state, minutes=minutes)
        urgent = screenings.shown(session, makers.study(session, batch, State.SCREENING).id)
        assert urgent
        urgent.lane = Lane.URGENT
    with database.read() as session:
        found = waiting.by_lane(session)
    assert list(found) == list(Lane)
    oldest = makers.NIGHT.replace(minute=5)
    assert found[Lane.NORMAL] == Waiting(due=2, held=1, later=1, oldest=oldest)
    assert found[Lane.URGENT] == Waiting(held=1)
    assert found[Lane.OVERNIGHT] == Waiting()
