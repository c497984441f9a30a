"""The files of a batch: each with its bucket, its reason and every flag that anything of it has."""

import pytest

from cspine.database import Database
from cspine.records import batches, screenings, studies
from cspine.states import Disposition, State
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
