"""Intake of whole studies: what lies beside the films, what was announced and never came, whose study it is."""

import io

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.records import announcements, studies
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Announced, Batch, ReceivedFile, Screening, Study
from tests.cspine.decoding.companions import REPORT, companion, dicomdir, key_object, localizer, presentation_state
from tests.cspine.ingest.test_intake import Door, archive, dicom, png
from tests.cspine.records import makers

pytestmark = pytest.mark.services
STUDY = "1.2.3"


@pytest.fixture
def door(settings: Settings, database: Database, blobs: BlobStore) -> Door:
    return Door(settings, database, blobs)


def film(number: int, study: str = STUDY, **elements: object) -> bytes:
    """Make a film of which the instance is named by its number."""
    return dicom(study, number, SOPInstanceUID=uid(number, study), **elements)


def uid(number: int, study: str = STUDY) -> str:
    return f"{study}.1.{number}"


def lacking(door: Door, study: str = STUDY) -> tuple[int, int] | None:
    """Say how many instances of a study are here, of how many; null where nothing is missing."""
    with door.database.read() as session:
        id_ = session.scalars(select(Study.id).where(Study.study_uid == study)).one()
        return announcements.shortfalls(session, [id_]).get(id_)


def rows(door: Door) -> list[ReceivedFile]:
    with door.database.read() as session:
        return list(session.scalars(select(ReceivedFile).order_by(ReceivedFile.id)))


def test_a_report_lies_beside_its_study_and_sends_nothing_to_work(door: Door) -> None:
    study = door.take(film(1)).study_id
    with door.database.write() as session:
        session.execute(update(Screening).values(state=State.DONE))
        session.execute(update(Study).values(read_at=makers.NIGHT, read_by="ana"))
    beside = door.take(companion(REPORT, STUDY), "SR1")
    assert (beside.disposition, beside.reason, beside.study_id) == (
        "not_an_image",
        "non_image_object",
        study,
    )
    with door.database.read() as session:
        assert session.scalars(select(Screening.state)).one() == State.DONE
        assert session.scalars(select(Study.read_by)).one() == "ana"
    assert (door.ledger().not_an_image, door.ledger().analysed, door.ledger().studies) == (1, 1, 1)


def test_a_report_that_comes_first_waits_for_its_study_outside_the_list(door: Door) -> None:
    first = door.take(companion(REPORT, STUDY), "SR1")
    assert first.study_id is None
    with door.database.read() as session:
        assert session.scalars(select(Study)).all() == []
    assert (door.ledger().studies, door.ledger().balanced) == (0, True)
    study = door.take(film(1)).study_id
    assert [row.study_id for row in rows(door)] == [study, study]


def test_a_report_sent_again_does_not_retry_its_study(door: Door) -> None:
    door.take(film(1))
    door.take(companion(REPORT, STUDY), "SR1")
    with door.database.write() as session:
        session.execute(update(Screening).values(state=State.FAILED, reason="corrupt"))
    again = door.take(companion(REPORT, STUDY), "SR1")
    assert (again.disposition, again.ring) == ("duplicate", None)


@pytest.mark.parametrize("keyword", ["NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"])
def test_a_number_of_instances_is_missed_until_it_is_reached(door: Door, keyword: str) -> None:
    door.take(film(1, **{keyword: 3}))
    assert lacking(door) == (1, 3)
    door.take(film(1, **{keyword: 3}))  # the same bytes again
    door.take(film(1, **{keyword: 3}, PatientComments="x"))  # the same instance under another header
    assert lacking(door) == (1, 3)
    door.take(film(2))
    assert lacking(door) == (2, 3)
    door.take(film(3)[:-900], "cut.dcm")  # it came, broken as it is
    door.take(film(4))
    assert lacking(door) is None


def test_what_is_no_picture_counts_for_the_study_and_not_for_the_series(door: Door) -> None:
    for number, data in enumerate([companion(REPORT, STUDY), key_object(STUDY, []), localizer(STUDY)]):
        door.take(data, f"{number}.dcm")
    door.take(film(1, NumberOfStudyRelatedInstances=4))
    assert lacking(door) is None
    door.take(film(2, NumberOfSeriesRelatedInstances=3))
    assert lacking(door) == (5, 6)


def test_each_series_by_itself(door: Door) -> None:
    for series, announced in (("1.2.3.5", 2), ("1.2.3.6", 4)):
        door.take(film(announced, SeriesInstanceUID=series, NumberOfSeriesRelatedInstances=announced))
    assert lacking(door) == (2, 6)
    door.take(film(9, "1.2.4", SeriesInstanceUID="1.2.3.5"))  # a series UID shared by two studies
    assert lacking(door) == (2, 6)
    assert lacking(door, "1.2.4") is None


@pytest.mark.parametrize("first", ["films", "companion"])
@pytest.mark.parametrize("make", [key_object, presentation_state])
def test_a_referenced_instance_is_missed_until_it_comes(door: Door, make: object, first: str) -> None:
    refers = make(STUDY, [uid(1), uid(2)])  # type: ignore[operator]
    for data in (film(1), refers) if first == "films" else (refers, film(1)):
        door.take(data)
    assert lacking(door) == (2, 3)
    door.take(film(2))
    assert lacking(door) is None


def test_a_directory_in_an_archive_names_what_is_not_there(door: Door) -> None:
    films = [film(1), film(2), film(7, "1.2.4")]
    door.intake.receive(io.BytesIO(archive(DICOMDIR=dicomdir(*films), a=films[0], b=films[2])), "cd.zip")
    assert lacking(door) == (1, 2)
    assert lacking(door, "1.2.4") is None
    assert [row.study_id is None for row in rows(door)] == [True, False, False]
    door.take(films[1])
    assert lacking(door) is None


def test_counts_and_references_of_the_same_loss_are_one(door: Door) -> None:
    door.take(film(1, NumberOfStudyRelatedInstances=3))
    door.take(key_object(STUDY, [uid(2)]))
    assert lacking(door) == (2, 3)


def test_an_instance_without_a_uid_has_come(door: Door) -> None:
    for number in (1, 2):
        door.take(dicom(STUDY, number, SOPInstanceUID="", NumberOfStudyRelatedInstances=2))
    assert lacking(door) is None


def test_the_list_says_what_is_missing_as_soon_as_it_is_known(door: Door) -> None:
    door.take(film(1))
    with door.database.write() as session:
        study, file = session.scalars(select(Study)).one(), session.scalars(select(ReceivedFile)).one()
        model, screening = makers.release(session), session.scalars(select(Screening)).one()
        screening.state = State.DONE
        makers.result(session, makers.image(session, study, file), makers.attempt(session, screening), model, "normal",
                      0.9)  # fmt: skip
        studies.refresh(session, study.id)
        session.refresh(study)
        assert (study.bucket, study.flags) == ("normal", [])
    door.take(key_object(STUDY, [uid(1), uid(2), uid(3)]))
    with door.database.read() as session:
        study = session.scalars(select(Study)).one()
        assert (study.bucket, study.flags) == ("not_analysed", ["partial"])
        assert study.reason == "Partial, only 2 of 4 announced instances came"


def test_a_directory_alone_makes_no_study_and_no_claim(door: Door) -> None:
    door.take(dicomdir(film(1)), "DICOMDIR")
    with door.database.read() as session:
        assert session.scalars(select(Study)).all() == []
        assert session.scalars(select(Announced.sop_uid)).all() == [uid(1)]


def test_two_patients_in_one_study_are_kept_together_and_flagged(door: Door) -> None:
    first = door.take(film(1, PatientID="P1"))
    assert door.take(film(2, PatientID="P2")).study_id == first.study_id
    door.take(film(3, PatientID="P1"))
    assert [row.flags for row in rows(door)] == [[], ["patient_conflict"], []]
    with door.database.write() as session:
        study = session.scalars(select(Study)).one()
        session.execute(update(Screening).values(state=State.DONE))
        studies.refresh(session, study.id)
        session.refresh(study)
        assert (study.bucket, study.flags, study.patient_id) == ("not_analysed", ["patient_conflict"], "P1")
        assert "Patient conflict" in study.reason


def test_a_patient_who_was_not_named_is_filled_in_by_a_later_file(door: Door) -> None:
    door.take(film(1, PatientID="", PatientName=""))
    door.take(film(2, PatientID="P2", PatientName="Roe^Rita"))
    door.take(film(3, PatientID="P3"))
    assert [row.flags for row in rows(door)] == [[], [], ["patient_conflict"]]
    with door.database.read() as session:
        study = session.scalars(select(Study)).one()
    assert (study.patient_id, study.patient_name) == ("P2", "Roe^Rita")


def test_a_study_of_many_files_is_not_counted_anew_at_each(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    true = studies.refresh

    def refresh(session: Session, *study_ids: str) -> None:
        counted.extend(study_ids)
        true(session, *study_ids)

    monkeypatch.setattr(studies, "refresh", refresh)
    for number in range(5):
        door.take(film(number))
    assert len(counted) == 1


def unreadable(door: Door) -> int:
    with door.database.read() as session:
        return session.get_one(Batch, door.batch.id).unreadable_files


def test_what_is_refused_in_an_archive_of_one_study_is_taken_as_its_own(door: Door) -> None:
    entries = {
        "good": film(1),
        "cut": film(1, "1.2.4")[:-900],
        "zero": b"",
        "inner": archive(a=b"x"),
        "notes": b"hello",
    }
    for _ in range(2):  # sent again, it is a duplicate that sends nobody to work
        door.intake.receive(io.BytesIO(archive(**entries)), "a.zip")
        good, cut, zero, inner, notes = rows(door)[:5]
        assert zero.study_id == inner.study_id == good.study_id
        assert cut.study_id not in {None, good.study_id}
        assert (notes.study_id, zero.disposition, zero.reason) == (None, "rejected", "empty_file")
        assert unreadable(door) == 1
        with door.database.write() as session:
            session.execute(update(Screening).values(state=State.DONE))
    with door.database.read() as session:
        assert session.scalars(select(Screening.state).where(Screening.study_id == good.study_id)).all() == [State.DONE]
    assert (door.ledger().duplicate, door.ledger().balanced) == (5, True)


@pytest.mark.parametrize("other", [film(1, "1.2.4"), png(1), dicom("1.2.5", StudyInstanceUID="")])
def test_where_it_may_be_of_several_studies_it_is_of_none(door: Door, other: bytes) -> None:
    door.intake.receive(io.BytesIO(archive(good=film(1), other=other, zero=b"")), "a.zip")
    assert rows(door)[2].study_id is None
    assert unreadable(door) == 1


def test_a_loose_picture_answers_for_itself_alone(door: Door) -> None:
    door.intake.receive(io.BytesIO(archive(good=png(1), zero=b"")), "a.zip")
    assert rows(door)[1].study_id is None
