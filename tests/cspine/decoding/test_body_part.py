"""A header that says chest, hand or mammogram is flagged; one that may mean the neck, or says nothing, is not."""

import io
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cspine.decoding import Header, read_header
from cspine.settings import Settings
from tests.cspine.decoding.objects import dicom, ramp


def head(data: bytes, settings: Settings) -> Header:
    """Read a header."""
    return read_header(io.BytesIO(data), "film", settings)


@pytest.mark.parametrize("part", ["CHEST", "hand", "LEFT HAND", "L-SPINE", "LUMBAR SPINE", "KNEE", "CHEST PA", "SKULL"])
def test_another_body_part_is_flagged(part: str, settings: Settings) -> None:
    assert head(dicom(ramp(), BodyPartExamined=part), settings).flags == ("wrong_body_part",)


@pytest.mark.parametrize(
    "part", ["CSPINE", "C-SPINE", "NECK", "SPINE", "HEADNECK", "WHOLEBODY", "", "HWS", "UNKNOWN", None]
)
def test_the_neck_and_the_unknown_are_not_flagged(part: str | None, settings: Settings) -> None:
    assert head(dicom(ramp(), BodyPartExamined=part), settings).flags == ()


def region(meaning: str) -> Sequence:
    """Make an anatomic region of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "SCT", meaning
    return Sequence([item])


@pytest.mark.parametrize(
    ("attributes", "flagged"),
    [
        ({"AnatomicRegionSequence": region("Chest")}, True),
        ({"AnatomicRegionSequence": region("Cervical spine")}, False),
        ({"AnatomicRegionSequence": region("Chest"), "BodyPartExamined": "CSPINE"}, False),
        ({"AnatomicRegionSequence": region("Neck"), "BodyPartExamined": "CHEST"}, False),
        ({"StudyDescription": "XR HAND left 2 views"}, True),
        ({"SeriesDescription": "Chest_PA"}, True),
        ({"ProtocolName": "KNEES AP STANDING"}, True),
        ({"StudyDescription": "CHEST AND C-SPINE"}, False),
        ({"StudyDescription": "Polytrauma: chest, pelvis"}, False),
        ({"StudyDescription": "CHEST PA", "BodyPartExamined": "CSPINE"}, False),
        ({"StudyDescription": "Lateral", "SeriesDescription": "W033"}, False),
        ({"StudyDescription": "CT C-SPINE", "BodyPartExamined": "HEAD"}, False),
        ({"StudyDescription": "XR Cervical spine", "BodyPartExamined": "SKULL"}, True),
        ({"StudyDescription": "CT HEAD", "BodyPartExamined": "HEAD"}, True),
        ({"StudyDescription": "LUMBAR SPINE", "BodyPartExamined": "LSPINE"}, True),
        ({"StudyDescription": "TRAUMA SERIES", "BodyPartExamined": "HAND"}, True),
        ({"StudyDescription": "C-SPINE AND CHEST", "BodyPartExamined": "CHEST"}, True),
        ({"SeriesDescription": "LAT SHOULDER DOWN"}, False),
        ({"SeriesDescription": "LAT SHOULDERS DOWN"}, False),
        ({"SeriesDescription": "SHOULDER AP"}, True),
        ({"SeriesDescription": "XR SHOULDERS"}, True),
        ({"BodyPartExamined": "UNKNOWN", "StudyDescription": "CHEST PA"}, True),
        ({"BodyPartExamined": "HAND LEFT"}, True),
    ],
)
def test_where_else_a_header_names_the_part(attributes: dict[str, Any], flagged: bool, settings: Settings) -> None:
    flags = head(dicom(ramp(), **attributes), settings).flags
    assert flags == (("wrong_body_part",) if flagged else ())


def test_a_modality_that_is_never_a_neck_is_flagged(settings: Settings) -> None:
    assert head(dicom(ramp(), Modality="MG"), settings).flags == ("wrong_body_part",)
    assert head(dicom(ramp(), Modality="DX"), settings).flags == ()
    mammography, digital = "1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.1.1"
    assert head(dicom(ramp(), Modality=None, SOPClassUID=mammography), settings).flags == ("wrong_body_part",)
    assert head(dicom(ramp(), Modality=None, SOPClassUID=digital), settings).flags == ()
