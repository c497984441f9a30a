"""A study's columns on the list follow its files, images, results and screening; reading takes it off the list."""

import pytest

from cspine.database import Database
from cspine.records import screenings, studies, triage
from cspine.settings import Settings
from cspine.states import Disposition, State
from cspine.tables import Review, Study, User
from tests.cspine.records import makers

pytestmark = pytest.mark.services


def test_refresh_takes_the_answer_of_the_most_urgent_image(database: Database) -> None:
    with database.write() as session:
        own, model = makers.batch(session), makers.release(session)
        study = makers.study(session, own)
        screening = screenings.shown(session, study.id)
        assert screening
        by = makers.attempt(session, screening)
        for number, (label, share) in enumerate([("normal", 0.9), ("fracture", 0.8)]):
            source = makers.file(session, own, study)
            picture = makers.image(session, study, source, series_number=1, instance_number=number)
            makers.result(session, picture, by, model, label, share)
        studies.refresh(session, study.id)
        session.refresh(study)
        assert (study.bucket, study.label, study.image_count) == ("positive", "fracture", 2)
        assert study.probabilities == {"fracture": 0.8}
        detail = studies.detail(session, study.id)
        assert detail
        assert [one.result.label for one in detail.images if one.result] == ["normal", "fracture"]
        assert [one.id for one in detail.attempts] == [by.id]


def test_a_rejected_file_makes_the_study_partial(database: Database) -> None:
    with database.write() as session:
        own, model = makers.batch(session), makers.release(session)
        study = makers.study(session, own)
        screening = screenings.shown(session, study.id)
        assert screening
        picture = makers.image(session, study, makers.file(session, own, study))
        makers.result(session, picture, makers.attempt(session, screening), model, "normal", 0.9)
        makers.file(session, own, study, disposition=Disposition.REJECTED, reason="truncated")
        studies.refresh(session, study.id)
        session.refresh(study)
        assert (study.bucket, study.flags) == ("not_analysed", ["partial"])


def test_a_replay_in_the_shadow_changes_nothing(database: Database) -> None:
    with database.write() as session:
        own, model = makers.batch(session), makers.release(session)
        study = makers.study(session, own)
        picture = makers.image(session, study, makers.file(session, own, study))
        shadow = screenings.Screening(study_id=study.id, state=State.DONE, lane="normal", created_at=makers.NIGHT,
                                      changed_at=makers.NIGHT, shadow=True)  # fmt: skip
        session.add(shadow)
        session.flush()
        makers.result(session, picture, makers.attempt(session, shadow), model, "fracture", 0.9)
        studies.refresh(session, study.id)
        session.refresh(study)
        assert (study.bucket, study.label) == ("not_analysed", None)


def test_reading_is_once_and_leaves_a_review(database: Database) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session))
        user = User(name="ana", role="reader", created_at=makers.NIGHT)
        session.add(user)
        session.flush()
        assert studies.mark(session, study.id, user, "read")
        assert not studies.mark(session, study.id, user, "read")
        assert studies.mark(session, study.id, user, "unread")
        assert not studies.mark(session, "nobody", user, "read")
        assert [row.action for row in session.query(Review)] == ["read", "unread"]
        assert session.get_one(Study, study.id).read_at is None


def test_no_study_of_a_strange_id(database: Database) -> None:
    with database.read() as session:
        assert studies.detail(session, "../../etc/passwd") is None


def test_a_study_that_turns_positive_after_it_was_read_is_on_the_list_again(database: Database) -> None:
    with database.write() as session:
        own, model = makers.batch(session), makers.release(session)
        study = makers.study(session, own, read_at=makers.NIGHT, read_by="ana")
        screening = screenings.shown(session, study.id)
        assert screening
        picture = makers.image(session, study, makers.file(session, own, study))
        makers.result(session, picture, makers.attempt(session, screening), model, "fracture", 0.9)
        studies.refresh(session, study.id)
        session.refresh(study)
        assert study.read_at is None
        study.read_at = makers.NIGHT
        studies.refresh(session, study.id)
        session.refresh(study)
        assert study.read_at is not None  # no news: it stays read


def test_a_study_back_in_work_still_shows_the_release_of_its_answer(database: Database, settings: Settings) -> None:
    with database.write() as session:
        own, model = makers.batch(session), makers.release(session)
        study = makers.study(session, own, State.RECEIVED)
        screening = screenings.shown(session, study.id)
        assert screening
        picture = makers.image(session, study, makers.file(session, own, study))
        makers.result(session, picture, makers.attempt(session, screening), model, "fracture", 0.9)
        studies.refresh(session, study.id)
        detail = studies.detail(session, study.id)
        assert detail
        assert detail.release is model
        (row,) = triage.page(session, settings, makers.NIGHT).rows
        assert row.as_dict()["demo"] is True
