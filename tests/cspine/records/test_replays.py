"""Replays: begun on what is shown, compared with what it showed, promoted as a whole or not at all."""

import pytest
from sqlalchemy import func, select

from cspine.database import Database
from cspine.errors import Usage
from cspine.records import batches, comparisons, endings, failures, replays, shadows, studies
from cspine.settings import Settings
from cspine.states import SHADOW, Disposition, Stage, State
from cspine.tables import Audit, Batch, ReplayStudy, Result, Screening, Study
from tests.cspine.records import makers
from tests.cspine.records.night import CANDIDATE, SHOWN, WORKER, Night

pytestmark = pytest.mark.services


@pytest.fixture
def night(database: Database) -> Night:
    return Night(database)


def test_what_shows_an_answer_is_screened_once_more(night: Night, database: Database) -> None:
    with database.write() as session:
        makers.study(session, night.batch, State.FAILED)
        makers.study(session, night.batch, State.READY)
        other = makers.batch(session, name="other")
        elsewhere = makers.study(session, other)
        makers.file(session, night.batch, elsewhere, disposition=Disposition.DUPLICATE, original=False)
    with database.write() as session:
        begun = replays.begin(session, night.batch, night.new, "ada")
    assert (begun.new, begun.studies, begun.left_out) == (True, 5, {"failed": 1, "in_work": 1})
    assert len(begun.rings) == 5
    assert {(ring.stage, ring.lane) for ring in begun.rings} == {(Stage.SCREEN, SHADOW)}
    with database.read() as session:
        own = session.scalars(select(Screening).where(Screening.shadow)).all()
    assert {(one.state, one.lane, one.release_id, one.replay_id) for one in own} == {
        ("ready", SHADOW, night.new.id, begun.replay.id)
    }


def test_the_same_again_is_the_same_replay(night: Night, database: Database) -> None:
    first = night.begin()
    with database.write() as session:
        again = replays.begin(session, night.batch, night.new, "ada")
    assert (again.new, again.replay.id, again.studies) == (False, first.id, 5)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Screening).where(Screening.shadow)) == 5


def test_a_release_is_not_compared_with_itself(night: Night, database: Database) -> None:
    with database.write() as session, pytest.raises(Usage, match="another release"):
        replays.begin(session, night.batch, night.old, "ada")


def test_nothing_shown_is_touched_until_the_promotion(night: Night, database: Database, settings: Settings) -> None:
    before = night.shown()
    with database.read() as session:
        ledger = batches.ledger(session, night.batch).as_dict()
        listed = session.execute(select(*Study.__table__.columns)).all()
    replay = night.begin()
    night.answer(replay, settings)
    assert night.shown() == before
    with database.read() as session:
        assert batches.ledger(session, night.batch).as_dict() == ledger
        assert session.execute(select(*Study.__table__.columns)).all() == listed
        assert session.scalar(select(func.count()).select_from(Result)) == 10
        assert set(session.scalars(select(Screening.state).where(Screening.shadow.is_(False)))) == {State.DONE}
    assert night.row(replay).state == "complete"


def test_the_comparison(night: Night, database: Database, settings: Settings) -> None:
    replay = night.begin()
    night.answer(replay, settings)
    with database.read() as session:
        found = comparisons.compare(session, replay.id)
        changed = comparisons.changes(session, replay)
    assert found.labels == {
        ("normal", "normal"): 1, ("normal", "fracture"): 1, ("fracture", "fracture"): 1, ("fracture", "normal"): 1,
        ("dislocation", "fracture"): 1,
    }  # fmt: skip
    assert found.flagged == {(False, False): 1, (False, True): 1, (True, True): 2, (True, False): 1}
    assert (found.changed, found.agreement.same, found.agreement.count) == (3, 2, 5)
    # by chance 2*2 + 2*3 + 1*0 of 25; (5 * 2 - 10) / (25 - 10)
    assert found.agreement.kappa == 0.0
    assert (found.mcnemar.first_only, found.mcnemar.second_only, found.mcnemar.p) == (1, 1, 1.0)
    assert {one.study.study_id for one in changed} == {night.ids[1], night.ids[3], night.ids[4]}
    for one in changed:
        assert one.before
        assert one.after
        assert (one.before.release.id, one.after.release.id) == (night.old.id, night.new.id)
        assert (one.before.result.label, one.after.result.label) == (one.study.before_label, one.study.after_label)


def test_the_greatest_changes_come_first_page_by_page(night: Night, database: Database, settings: Settings) -> None:
    replay = night.begin()
    night.answer(replay, settings)
    with database.read() as session:
        whole = comparisons.changes(session, replay)
        parts = [one for offset in range(3) for one in comparisons.changes(session, replay, offset, 1)]
    assert [one.study.study_id for one in parts] == [one.study.study_id for one in whole]
    distances = [abs((one.study.after_urgency or 0) - one.study.before_urgency) for one in whole]
    assert distances == sorted(distances, reverse=True)


def test_promotion_shows_the_candidate_and_keeps_what_was(night: Night, database: Database, settings: Settings) -> None:
    replay = night.begin()
    night.answer(replay, settings)
    with database.write() as session:
        done = replays.promote(session, replay.id, "ada")
    assert (done.promoted, done.unanswered, done.moved) == (5, 0, 0)
    assert night.shown() == [(label, night.new.id) for label in CANDIDATE]
    assert night.row(replay).state == "promoted"
    with database.read() as session:
        old = session.scalars(select(Result).where(Result.release_id == night.old.id).order_by(Result.id)).all()
        assert [(one.label, one.shown) for one in old] == [(label, False) for label in SHOWN]
        own = select(Screening.release_id).where(Screening.shadow.is_(False))
        assert set(session.scalars(own)) == {night.new.id}
        assert session.scalars(select(Audit.action).order_by(Audit.id)).all() == ["replay", "replay_promote"]
        detail = studies.detail(session, night.ids[1])
        assert detail
        (one,) = detail.images
        assert one.result
        assert detail.release
        assert detail.release.id == night.new.id
        assert [attempt.worker for attempt in detail.attempts if attempt.id == one.result.attempt_id] == [WORKER]
        assert comparisons.compare(session, replay.id).changed == 3, "the comparison outlasts the promotion"
    with database.write() as session, pytest.raises(Usage, match="already"):
        replays.promote(session, replay.id, "ada")


def test_promotion_puts_a_new_positive_back_on_the_unread_list(
    night: Night, database: Database, settings: Settings
) -> None:
    with database.write() as session:
        for study in session.scalars(select(Study)):
            study.read_at, study.read_by = makers.NIGHT, "rita"
    replay = night.begin()
    night.answer(replay, settings)
    with database.write() as session:
        replays.promote(session, replay.id, "ada")
    with database.read() as session:
        assert session.scalars(select(Study.id).where(Study.read_at.is_(None))).all() == [night.ids[1]]


def test_an_incomplete_replay_is_not_promoted(night: Night, database: Database, settings: Settings) -> None:
    replay = night.begin()
    held = night.claim(replay, settings.model_copy(update={"screen_batch": 3}))
    assert held
    night.settle(held, settings)
    with database.write() as session, pytest.raises(Usage, match="2 of 5 studies are still to be answered"):
        replays.promote(session, replay.id, "ada")
    assert {release_id for _, release_id in night.shown()} == {night.old.id}


def test_where_only_failures_remain_the_rest_is_promoted(night: Night, database: Database, settings: Settings) -> None:
    replay = night.begin()
    held = night.claim(replay, settings.model_copy(update={"screen_batch": 2}))
    assert held
    night.fail(held, settings)
    night.answer(replay, settings)
    row = night.row(replay)
    assert (row.progress.failed, row.progress.done, row.progress.waiting) == (2, 3, 0)
    with database.read() as session:
        assert failures.groups(session) == [], "a shadow's failure is not on the failures page"
    with database.write() as session:
        done = replays.promote(session, replay.id, "ada")
    assert (done.promoted, done.unanswered, done.moved) == (3, 2, 0)
    assert sorted(release_id for _, release_id in night.shown()) == [night.old.id] * 2 + [night.new.id] * 3


def test_a_study_that_moved_since_keeps_what_it_shows(night: Night, database: Database, settings: Settings) -> None:
    replay = night.begin()
    night.answer(replay, settings)
    with database.write() as session:
        moved = session.scalars(
            select(Screening).where(Screening.study_id == night.ids[0], Screening.shadow.is_(False))
        ).one()
        moved.changed_at = makers.NIGHT.replace(year=2027)
        again = session.scalars(
            select(Screening).where(Screening.study_id == night.ids[1], Screening.shadow.is_(False))
        ).one()
        again.state = State.RECEIVED
    with database.write() as session:
        done = replays.promote(session, replay.id, "ada")
    assert (done.promoted, done.unanswered, done.moved) == (3, 0, 2)
    assert [release_id for _, release_id in night.shown()] == [night.old.id] * 2 + [night.new.id] * 3


def test_a_second_promotion_does_not_undo_another(night: Night, database: Database, settings: Settings) -> None:
    """Two candidates were compared with the same old answers: the second finds other ones shown."""
    first = night.begin()
    night.answer(first, settings)
    third = night.new
    with database.write() as session:
        night.new = makers.release(session, version="3", active=False)
    second = night.begin()
    night.answer(second, settings)
    with database.write() as session:
        replays.promote(session, first.id, "ada")
    with database.write() as session, pytest.raises(Usage, match="no study"):
        replays.promote(session, second.id, "ada")
    assert {release_id for _, release_id in night.shown()} == {third.id}


def test_back_to_the_earlier_release_by_another_replay(night: Night, database: Database, settings: Settings) -> None:
    replay = night.begin()
    night.answer(replay, settings)
    with database.write() as session:
        replays.promote(session, replay.id, "ada")
    night.old, night.new = night.new, night.old
    back = night.begin()
    while held := night.claim(back, settings):
        with database.write() as session:
            settled = endings.settle(session, held, settings)
            shadows.answered(session, settled.succeeded, night.new.id)
    with database.write() as session:
        replays.promote(session, back.id, "ada")
    assert night.shown() == [(label, night.new.id) for label in SHOWN]


def test_cancel_ends_what_waits_and_refuses_late_answers(night: Night, database: Database, settings: Settings) -> None:
    replay = night.begin()
    held = night.claim(replay, settings.model_copy(update={"screen_batch": 2}))
    assert held
    with database.write() as session:
        assert replays.cancel(session, replay.id, "ada")
    with database.write() as session:
        assert not replays.cancel(session, replay.id, "ada")
    night.settle(held, settings)
    assert night.row(replay).progress.cancelled == 5
    assert night.row(replay).state == "cancelled"
    assert night.claim(replay, settings) is None
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Result)) == 5
    with database.write() as session, pytest.raises(Usage, match="cancelled"):
        replays.promote(session, replay.id, "ada")
    with database.write() as session:
        assert replays.begin(session, night.batch, night.new, "ada").new


def test_by_its_beginning(night: Night, database: Database) -> None:
    replay = night.begin()
    with database.read() as session:
        assert replays.find(session, replay.id[:8]).id == replay.id
        for wrong in ("", "nothing", "%"):
            with pytest.raises(Usage, match="begins with"):
                replays.find(session, wrong)
        assert [one.replay.id for one in replays.listing(session, night.batch.id)] == [replay.id]
        assert replays.listing(session, "other") == []
        assert session.get_one(Batch, night.batch.id).id == replays.listing(session)[0].batch.id
        assert session.scalar(select(func.count()).select_from(ReplayStudy)) == 5
