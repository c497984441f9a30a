"""What lies beside the films of a study: reports, key objects, presentation states, a localizer, a DICOMDIR."""

import io
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence

from tests.cspine.decoding.objects import CR, ROOT, dicom, ramp

STORAGE = "1.2.840.10008.5.1.4.1.1."
REPORT, DOSE, KEY_OBJECT, PRESENTATION, PDF = (
    STORAGE + end for end in ("88.33", "88.67", "88.59", "11.1", "104.1")
)  # fmt: skip
MODALITIES = {REPORT: "SR", DOSE: "SR", KEY_OBJECT: "KO", PRESENTATION: "PR", PDF: "DOC"}


def companion(sop_class: str, study: str = ROOT + "1", number: int = 900, **attributes: Any) -> bytes:
    """Write an object without pixels of a study; each number is an instance, and a series, of its own."""
    named = {"SOPClassUID": sop_class, "Modality": MODALITIES[sop_class], "StudyInstanceUID": study,
             "SeriesInstanceUID": f"{study}.{number}", "SOPInstanceUID": f"{study}.{number}.1"}  # fmt: skip
    return dicom(None, **named | attributes)


def key_object(study: str, refers_to: Iterable[str], number: int = 901, **attributes: Any) -> bytes:
    """Write a key object selection (PS3.3 C.17.2) whose evidence is these instances of the study."""
    evidence = Dataset()
    evidence.StudyInstanceUID = study
    evidence.ReferencedSeriesSequence = Sequence([_series(study, "ReferencedSOPSequence", refers_to)])
    return companion(KEY_OBJECT, study, number, CurrentRequestedProcedureEvidenceSequence=Sequence([evidence]),
                     **attributes)  # fmt: skip


def presentation_state(study: str, refers_to: Iterable[str], number: int = 902) -> bytes:
    """Write a presentation state (PS3.3 C.11.11) of these instances."""
    series = _series(study, "ReferencedImageSequence", refers_to)
    return companion(PRESENTATION, study, number, ReferencedSeriesSequence=Sequence([series]))


def localizer(study: str, number: int = 903) -> bytes:
    """Write a scout view of CT."""
    return dicom(ramp(), SOPClassUID=STORAGE + "2", Modality="CT", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
                 StudyInstanceUID=study, SeriesInstanceUID=f"{study}.{number}",
                 SOPInstanceUID=f"{study}.{number}.1")  # fmt: skip


def dicomdir(*films: bytes) -> bytes:
    """Write the DICOMDIR of a medium with these films, as pydicom writes one."""
    medium = FileSet()
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        for film in films:
            dataset = pydicom.dcmread(io.BytesIO(film))
            for keyword in ("StudyDate", "StudyTime", "StudyID", "SeriesNumber", "InstanceNumber"):
                if not dataset.get(keyword):
                    setattr(dataset, keyword, {"StudyDate": "20260301", "StudyTime": "0100"}.get(keyword, "1"))
            medium.add(dataset)
        medium.write(folder)
        medium._stage["t"].cleanup()  # pydicom leaves it to the collector of garbage, which warns
        return (Path(folder) / "DICOMDIR").read_bytes()


def _series(study: str, keyword: str, refers_to: Iterable[str]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = f"{study}.1"
    instances = []
    for uid in refers_to:
        instance = Dataset()
        instance.ReferencedSOPClassUID = CR
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of what is no UID, which is meant
            instance.ReferencedSOPInstanceUID = uid
        instances.append(instance)
    setattr(series, keyword, Sequence(instances))
    return series
