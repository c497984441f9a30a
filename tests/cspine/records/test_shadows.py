"""Shadows: claimed after all other work, by no claim but their own; a candidate that does not load stops its replay."""

import pytest
from sqlalchemy import func, select, update

from cspine.database import Database
from cspine.errors import Retriable
from cspine.failure import of_error
from cspine.reasons import Reason
from cspine.records import endings, freeing, pauses, results, shadows, sweep
from cspine.settings import Settings
from cspine.states import SHADOW, Stage, State
from cspine.tables import Image, Release, Result, Screening, Study
from tests.cspine.records import makers, work
from tests.cspine.records.night import Night

pytestmark = pytest.mark.services


@pytest.fixture
def night(database: Database) -> Night:
    return Night(database)


def test_shadows_are_claimed_only_when_nothing_else_is_due(
    night: Night, database: Database, settings: Settings
) -> None:
    replay = night.begin()
    (other,) = work.make(database, 1, State.RECEIVED, lane="normal")
    with database.read() as session:
        assert shadows.turn(session, settings) is None
        assert shadows.due(session, settings, 16) == []
    assert night.claim(replay, settings) is None
    work.set_state(database, other, State.WAITING)
    with database.read() as session:
        turn = shadows.turn(session, settings)
        assert turn
        assert (turn.replay_id, turn.release.id) == (replay.id, night.new.id)
    held = night.claim(replay, settings.model_copy(update={"screen_batch": 3}))
    assert held
    assert (len(held.members), held.device, held.release_id) == (3, "cpu", night.new.id)


def test_no_other_claim_takes_a_shadow(night: Night, database: Database, settings: Settings) -> None:
    night.begin()
    assert work.screen(database, settings) is None
    assert work.prepare(database, settings) is None


@pytest.mark.parametrize("lane", ["all", "overnight"])
def test_a_pause_holds_for_shadows_too(night: Night, database: Database, settings: Settings, lane: str) -> None:
    replay = night.begin()
    with database.write() as session:
        pauses.pause(session, lane, "maintenance", "ada")
    assert night.claim(replay, settings) is None
    with database.write() as session:
        pauses.resume(session, lane, "ada")
        pauses.pause(session, "urgent", "maintenance", "ada")
    assert night.claim(replay, settings) is not None


def test_shadow_and_shown_may_answer_the_same_image_at_once(
    night: Night, database: Database, settings: Settings
) -> None:
    """The candidate became the active release in the middle of its replay: both asked it, one of them was first."""
    replay = night.begin()
    night.answer(replay, settings)
    with database.write() as session:
        images = dict(session.execute(select(Image.study_id, Image.id)).all())
        shown = session.scalars(
            select(Screening).where(Screening.study_id == night.ids[1], Screening.shadow.is_(False))
        ).one()
        shown.state = State.READY
        session.execute(Release.__table__.update().values(active=False))
        session.get_one(Release, night.new.id).active = True
    held = work.take(database, settings, shown.id)
    with database.write() as session:
        settled = endings.settle(session, held, settings)
        results.add(session, held, settled.kept, {shown.id: [makers.answer(images[night.ids[1]], "fracture")]})
    assert night.shown()[1][1] == night.new.id
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Result)) == 10, "no second row for one image"


def test_nothing_that_happens_to_a_shadow_writes_its_study(
    night: Night, database: Database, settings: Settings
) -> None:
    """A worker may be writing the study's own answer: what the shadow's transaction read of it is older."""
    one = settings.model_copy(update={"screen_batch": 1, "max_lone_attempts": 1})
    replay = night.begin()
    with database.write() as session:
        session.execute(update(Study).values(reason="as it was"))
    ill, poison = night.claim(replay, one), night.claim(replay, one)
    assert ill
    assert poison
    failure = of_error(Retriable("", Reason.NOT_A_NUMBER), Stage.SCREEN, str(night.new.id))
    with database.write() as session:
        endings.settle(session, ill, one, {ill.members[0].screening_id: failure})
        freeing.crash(session, poison.claim_id, one)
        session.execute(update(Screening).where(Screening.state == State.WAITING).values(next_try_at=makers.NIGHT))
    ids = [held.members[0].screening_id for held in (ill, poison)]
    assert [work.row(database, id_).state for id_ in ids] == [State.WAITING, State.QUARANTINED]
    with database.write() as session:
        assert [ring.screening_id for ring in sweep.due(session, settings)] == ids[:1]
    with database.read() as session:
        assert set(session.scalars(select(Study.reason))) == {"as it was"}


def test_a_candidate_that_never_loads_stops_its_replay(night: Night, database: Database, settings: Settings) -> None:
    replay = night.begin()
    for _ in range(shadows.MOST_LOADS):
        with database.write() as session:
            assert shadows.begin_load(session, replay.id)
    with database.write() as session:
        assert not shadows.begin_load(session, replay.id)
        assert shadows.turn(session, settings) is None
    assert night.row(replay).state == "stopped"
    night.begin()
    assert night.row(replay).state == "running"


def test_a_service_that_was_away_is_no_fault_of_the_candidate(
    night: Night, database: Database, settings: Settings
) -> None:
    replay = night.begin()
    for _ in range(2 * shadows.MOST_LOADS):
        with database.write() as session:
            assert shadows.begin_load(session, replay.id)
            shadows.spare(session, replay.id)
    with database.write() as session:
        shadows.begin_load(session, replay.id)
        shadows.not_loaded(session, replay.id, "no room " * 100, final=False)
    assert night.row(replay).state == "running"
    assert len(night.row(replay).replay.fault or "") == 400
    with database.write() as session:
        shadows.loaded(session, replay.id)
    assert (night.row(replay).replay.loads, night.row(replay).replay.fault) == (0, None)


def test_the_oldest_replay_goes_first_and_a_stopped_one_holds_up_no_other(
    night: Night, database: Database, settings: Settings
) -> None:
    first = night.begin()
    with database.write() as session:
        night.new = makers.release(session, version="3", active=False)
    second = night.begin()
    with database.write() as session:
        turn = shadows.turn(session, settings)
        assert turn
        assert turn.replay_id == first.id
        shadows.not_loaded(session, first.id, "broken", final=True)
        turn = shadows.turn(session, settings)
        assert turn
        assert turn.replay_id == second.id
        assert {ring.lane for ring in shadows.due(session, settings, 3)} == {SHADOW}
