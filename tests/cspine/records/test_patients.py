"""Whether two headers name one patient."""

import pytest

from cspine.decoding import Meta
from cspine.records import patients
from cspine.tables import Study


@pytest.mark.parametrize(
    ("known", "said", "differ"),
    [
        ({}, {}, False),
        ({"patient_id": "1"}, {"patient_id": "1"}, False),
        ({"patient_id": "1"}, {"patient_id": "2"}, True),
        ({"patient_id": "1"}, {}, False),
        ({"patient_id": "1", "patient_name": "Doe^Jane"}, {"patient_id": "1", "patient_name": "Roe^Jane"}, False),
        ({"patient_name": "Doe^Jane"}, {"patient_name": "Roe^Jane"}, True),
        ({"patient_id": "1", "patient_name": "Doe^Jane"}, {"patient_name": "Roe^Jane"}, True),
        ({"patient_name": "Doe^Jane^^"}, {"patient_name": "DOE, jane=x=y"}, False),
        ({"patient_id": "000123"}, {"patient_id": "123"}, False),
        ({"patient_id": "ab12"}, {"patient_id": "AB12"}, False),
        ({"patient_name": "Doe^Jane"}, {"patient_name": "DOE^JANE^MARIA"}, False),
        ({"patient_name": "Doe^Jane"}, {"patient_name": "DOE^JANET"}, True),
        ({"patient_name": "=山田"}, {"patient_name": "=川口"}, False),
        ({"patient_id": "1", "birth": "1980-01-01"}, {"patient_id": "1", "birth": "1981-01-01"}, True),
    ],
)
def test_patients(known: dict[str, str], said: dict[str, str], differ: bool) -> None:
    birth, other = known.pop("birth", None), said.pop("birth", None)
    assert patients.differ(Study(**known, patient_birth_date=birth), Meta(**said, birth_date=other)) is differ


def test_what_was_missing_is_filled_in_and_nothing_is_replaced() -> None:
    study = Study(patient_name="Doe^Jane")
    patients.complete(study, Meta(patient_name="DOE^JANE", patient_id="7", sex="F"))
    assert (study.patient_name, study.patient_id, study.patient_sex) == ("Doe^Jane", "7", "F")
