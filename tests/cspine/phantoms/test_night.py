"""A demonstration night: several images in some studies, and the usual accidents."""

import csv
from collections import Counter
from pathlib import Path

import pydicom
import pytest
from pydicom.errors import InvalidDicomError

from cspine.phantoms import write_night


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    write_night(folder, seed=3, studies=12)
    return folder


def test_studies_group_their_images(night: Path) -> None:
    datasets = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(night.glob("study-*.dcm"))]
    images = Counter(d.StudyInstanceUID for d in datasets)
    assert len(images) == 12
    assert max(images.values()) > 1
    by_study = {(d.StudyInstanceUID, d.SeriesInstanceUID, str(d.PatientName), d.Modality) for d in datasets}
    assert len(by_study) == 12
    assert len({d.SOPInstanceUID for d in datasets}) == len(datasets)


def test_most_are_normal_and_every_label_is_there(night: Path) -> None:
    with (night / "truth.csv").open(newline="") as file:
        first = [row["label"] for row in csv.DictReader(file) if row["file"].endswith("-1.dcm")]
    assert Counter(first) == {"normal": 9, "fracture": 2, "dislocation": 1}


def test_accidents_are_among_them(night: Path) -> None:
    assert (night / "sent-again.dcm").read_bytes() == (night / "study-001-1.dcm").read_bytes()
    with pytest.raises(InvalidDicomError):
        pydicom.dcmread(night / "note.dcm")
    whole = max(path.stat().st_size for path in night.glob("study-*.dcm"))
    assert 0 < (night / "interrupted.dcm").stat().st_size < whole / 2
