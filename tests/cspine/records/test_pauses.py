"""Pauses: which lanes are closed, by whom and why; both ends are audited."""

import pytest
from sqlalchemy import select

from cspine.database import Database
from cspine.errors import Usage
from cspine.records import pauses
from cspine.states import Lane
from cspine.tables import Audit

pytestmark = pytest.mark.services


def test_nothing_is_paused_at_first(database: Database) -> None:
    with database.write() as session:
        assert pauses.paused(session) == {}
        assert pauses.closed_lanes(session) == frozenset()
        assert not pauses.resume(session, "all", "ida")
        assert session.scalars(select(Audit)).all() == []


def test_a_paused_lane_is_closed_and_says_who_and_why(database: Database) -> None:
    with database.write() as session:
        pauses.pause(session, "overnight", " the scanner is being serviced ", "ida")
    with database.read() as session:
        assert pauses.closed_lanes(session) == {Lane.OVERNIGHT}
        row = pauses.paused(session)["overnight"]
    assert (row.reason, row.paused_by) == ("the scanner is being serviced", "ida")


def test_the_whole_queue_closes_every_lane_and_leaves_a_lanes_own_pause_behind(database: Database) -> None:
    with database.write() as session:
        pauses.pause(session, "normal", "one", "ida")
        pauses.pause(session, "all", "two", "ben")
        assert list(pauses.paused(session)) == ["all", "normal"]
        assert pauses.closed_lanes(session) == frozenset(Lane)
        assert pauses.resume(session, "all", "ida")
        assert pauses.closed_lanes(session) == {Lane.NORMAL}


def test_a_second_pause_leaves_the_first_one_as_it_is(database: Database) -> None:
    with database.write() as session:
        assert pauses.pause(session, "urgent", "one", "ida") is None
    with database.read() as session:
        first = pauses.paused(session)["urgent"]
    with database.write() as session:
        before = pauses.pause(session, "urgent", "two", "ben")
        assert before is not None
        assert (before.reason, before.paused_by) == ("one", "ida")
    with database.read() as session:
        row = pauses.paused(session)["urgent"]
        assert session.scalars(select(Audit.actor)).all() == ["ida"]
    assert (row.reason, row.paused_by, row.paused_at) == ("one", "ida", first.paused_at)


def test_pause_and_resume_are_audited(database: Database) -> None:
    with database.write() as session:
        pauses.pause(session, "all", "power cut", "ida")
        pauses.resume(session, "all", "ben")
        found = [(row.actor, row.action, row.subject, row.detail) for row in session.scalars(select(Audit))]
    assert found == [
        ("ida", "pause", "all", {"reason": "power cut"}),
        ("ben", "resume", "all", {"paused_by": "ida", "reason": "power cut"}),
    ]


@pytest.mark.parametrize(("lane", "reason"), [("nightly", "x"), ("all", "  "), ("all", "x" * 401), ("all", "a\nb")])
def test_what_cannot_be_paused_is_refused(database: Database, lane: str, reason: str) -> None:
    with database.write() as session, pytest.raises(Usage):
        pauses.pause(session, lane, reason, "ida")
