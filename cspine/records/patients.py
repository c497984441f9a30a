"""Patients: whose study it is, and whether a further file says that it is somebody else's."""

import re

from cspine.decoding import Meta
from cspine.tables import Study

SEPARATORS = re.compile(r"[\s^,.]+")


def differ(study: Study, meta: Meta) -> bool:
    """Say whether a header names another patient than its study.

    Another ID or date of birth is another patient; where one of the IDs is missing, another name is one too, but not a
    longer one. A name alone is no reason: it is spelled in many ways, and changes. Letter case and leading zeros of an
    ID, which systems add and drop, make no other one.
    """
    known, said = _plain_id(study.patient_id), _plain_id(meta.patient_id)
    if known and said and known != said:
        return True
    if study.patient_birth_date and meta.birth_date and study.patient_birth_date != meta.birth_date:
        return True
    if known and said:
        return False
    name, other = f"{_plain(study.patient_name)} ", f"{_plain(meta.patient_name)} "
    return not (name.startswith(other) or other.startswith(name)) and bool(name.strip() and other.strip())


def complete(study: Study, meta: Meta) -> None:
    """Fill in what the study's earlier files did not say of the patient."""
    study.patient_name = study.patient_name or meta.patient_name
    study.patient_id = study.patient_id or meta.patient_id
    study.patient_birth_date = study.patient_birth_date or meta.birth_date
    study.patient_sex = study.patient_sex or meta.sex


def _plain_id(patient_id: str | None) -> str:
    return (patient_id or "").casefold().lstrip("0")


def _plain(name: str | None) -> str:
    """Return the alphabetic form of a name for comparison: its parts without their order's marks, case folded."""
    return SEPARATORS.sub(" ", (name or "").split("=")[0]).strip().casefold()
