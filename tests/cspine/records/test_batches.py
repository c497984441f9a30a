"""The files of a batch: each with its bucket, its reason and every flag that anything of it has."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from cspine.database import Database
from cspine.records import batches, screenings, studies
from cspine.states import Disposition, State
from cspine.tables import Audit
from tests.cspine.records import makers

pytestmark = pytest.mark.services


def test_files_carry_the_flags_of_their_answers_and_of_a_partial_study(database: Database) -> None:
    with database.write() as session:
        own, model = makers.batch(session), makers.release(session)
        study = makers.study(session, own)
        screening = screenings.shown(session, study.id)
        assert screening
        by = makers.attempt(session, screening)
        good = makers.file(session, own, study, name="good.dcm", flags=["bad_date"])
        picture = makers.image(session, study, good, flags=["blank_image"])
        makers.result(session, picture, by, model, "normal", 0.9, flags=["out_of_distribution"])
        makers.file(session, own, study, name="cut.dcm", disposition=Disposition.REJECTED, reason="truncated")
        makers.file(session, own, study, name="twice.dcm", disposition=Disposition.DUPLICATE, original=False)
        studies.refresh(session, study.id)
        files = {one["file"]: one for one in batches.files(session, own)}
    assert files["good.dcm"]["flags"] == ["bad_date", "blank_image", "out_of_distribution", "partial"]
    assert (files["cut.dcm"]["bucket"], files["cut.dcm"]["flags"]) == ("rejected", ["partial"])
    assert files["twice.dcm"]["flags"] == []


def test_a_newer_answer_takes_the_flag_away(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        study = makers.study(session, own)
        screening = screenings.shown(session, study.id)
        assert screening
        picture = makers.image(session, study, makers.file(session, own, study, name="b.png"))
        for flags in (["out_of_distribution"], []):
            model = makers.release(session, active=False)
            makers.result(session, picture, makers.attempt(session, screening), model, "normal", 0.9, flags=flags)
        shadow = screenings.Screening(study_id=study.id, state=State.DONE, lane="normal", created_at=makers.NIGHT,
                                      changed_at=makers.NIGHT, shadow=True)  # fmt: skip
        session.add(shadow)
        session.flush()
        replay = makers.release(session, active=False)
        makers.result(session, picture, makers.attempt(session, shadow), replay, "normal", 0.9, flags=["blank_image"])
        assert [one["flags"] for one in batches.files(session, own) if one["file"] == "b.png"] == [[]]


def test_files_are_paged_in_the_order_of_receipt(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        for number in range(5):
            makers.file(session, own, name=f"{number}.png", disposition=Disposition.NOT_AN_IMAGE)
        first = list(batches.files(session, own, limit=3))
        rest = list(batches.files(session, own, after=first[-1]["id"]))
    assert [one["file"] for one in first + rest] == [f"{number}.png" for number in range(5)]


def test_a_large_batch_is_read_in_parts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK", 2)
    with database.write() as session:
        own = makers.batch(session)
        for number in range(5):
            makers.file(session, own, name=f"{number}.png", disposition=Disposition.NOT_AN_IMAGE)
        names = [one["file"] for one in batches.files(session, own)]
        some = [one["file"] for one in batches.files(session, own, limit=3)]
        none = list(batches.files(session, makers.batch(session, "empty")))
    assert (names, some, none) == ([f"{number}.png" for number in range(5)], ["0.png", "1.png", "2.png"], [])


def test_a_deadline_is_set_changed_and_taken_away_each_with_an_audit_row(database: Database) -> None:
    morning = makers.NIGHT + timedelta(hours=5)
    with database.write() as session:
        own = makers.batch(session)
        changed = [batches.set_deadline(session, own.id, deadline, "ana") for deadline in (morning, morning, None)]
        assert changed == [True, False, True]
        assert not batches.set_deadline(session, "unknown", morning, "ana")
        found = [(row.actor, row.subject, row.detail) for row in session.scalars(select(Audit).order_by(Audit.id))]
    assert found == [("ana", own.id, {"deadline": morning.isoformat()}), ("ana", own.id, {"deadline": None})]
