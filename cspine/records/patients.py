"""Patients: whose study it is, and whether a further file says that it is somebody else's."""

import re

from cspine.decoding import Meta
from cspine.tables import Study

SEPARATORS = re.compile(r"[\s^,.]+")


def differ(study: Study, meta: Meta) -> bool:
    """Say whether a header names another patient than its study.

    Another ID or date of birth is another patient; where one of the IDs is missing, another name is one too. A name
    alone is no reason: it is spelled in many ways, and changes.
    """
    for known, said in ((study.patient_id, meta.patient_id), (study.patient_birth_date, meta.birth_date)):
        if known and said and known != said:
            return True
    if study.patient_id and meta.patient_id:
        return False
    name, other = _plain(study.patient_name), _plain(meta.patient_name)
    return bool(name and other and name != other)


def complete(study: Study, meta: Meta) -> None:
    """Fill in what the study's earlier files did not say of the patient."""
    study.patient_name = study.patient_name or meta.patient_name
    study.patient_id = study.patient_id or meta.patient_id
    study.patient_birth_date = study.patient_birth_date or meta.birth_date
    study.patient_sex = study.patient_sex or meta.sex


def _plain(name: str | None) -> str:
    """Return the alphabetic form of a name for comparison: its parts without their order's marks, case folded."""
    return SEPARATORS.sub(" ", (name or "").split("=")[0]).strip().casefold()
