"""Phantoms as files: DICOM or PNG, with the truth beside them in truth.csv.

Everything in a file follows from the seed, names and UIDs too, so that the same command writes the same bytes.
"""

import csv
import datetime
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from cspine.phantoms.drawing import Phantom, draw

Format = Literal["dicom", "png"]

FAMILY_NAMES = ("Abel", "Brandt", "Castell", "Dorn", "Eklund", "Ferrand", "Gallo", "Hartig", "Ilves", "Jarne", "Kessel",
                "Lindqvist", "Morav", "Norell", "Ostrow", "Pavic", "Quint", "Rosner", "Sandvik", "Tarnow")  # fmt: skip
GIVEN_NAMES = ("Ada", "Bela", "Cleo", "Dario", "Edda", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Leif", "Mara",
               "Nils", "Olga", "Piet", "Runa", "Sven", "Tilda", "Uwe")  # fmt: skip


@dataclass(frozen=True)
class Study:
    """The header of a study of invented data, all of it from a seed."""

    seed: int
    date: datetime.date

    @property
    def uid(self) -> UID:
        """The StudyInstanceUID."""
        return uid("study", self.seed)

    def number(self, what: str, below: int) -> int:
        """Return a number that follows from the seed and a word."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{what}".encode()).digest()[:8]) % below


def uid(*parts: object) -> UID:
    """Return a UID under 2.25 that follows from the parts."""
    digest = hashlib.sha256("/".join(map(str, ("cspine phantom", *parts))).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16])}")


def write(
    folder: Path,
    count: int,
    seed: int,
    format: Format = "dicom",
    labels: Sequence[str] | None = None,
    progress: Callable[[int], object] = lambda written: None,
) -> list[Path]:
    """Write `count` phantoms, one study each, and truth.csv; the labels given are taken in turn, else drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, paths = [], []
    for i in range(count):
        phantom = draw(seed + i, labels[i % len(labels)] if labels else None)
        path = folder / f"phantom-{seed + i:06d}.{'dcm' if format == 'dicom' else 'png'}"
        if format == "dicom":
            write_dicom(path, phantom, Study(seed + i, _date(seed)), number=1)
        else:
            Image.fromarray(phantom.pixels).save(path)
        rows.append((path.name, phantom))
        paths.append(path)
        progress(i + 1)
    write_truth(folder / "truth.csv", rows)
    return paths


def write_truth(path: Path, rows: Iterable[tuple[str, Phantom]]) -> None:
    """Write the truth: file, label, level the lesion's box in pixels (right and bottom exclusive), its kind."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "label", "level", "left", "top", "right", "bottom", "kind"])
        for name, phantom in rows:
            writer.writerow([name, phantom.label, phantom.level, *(phantom.box or ("",) * 4), phantom.kind])


def write_dicom(path: Path, phantom: Phantom, study: Study, number: int) -> None:
    """Write a phantom as a CR or DX instance of a study: 12 bits in 16, uncompressed, some MONOCHROME1."""
    digital = study.number("modality", 2) == 1
    inverted = study.number(f"monochrome {number}", 5) == 0
    stored = np.rint(phantom.pixels.astype(np.float32) * (4095 / 255)).astype("<u2")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = (
        DigitalXRayImageStorageForPresentation if digital else ComputedRadiographyImageStorage
    )
    meta.MediaStorageSOPInstanceUID = uid("instance", study.seed, number)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study.uid, uid("series", study.seed)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _describe(dataset, study, number, digital)
    dataset.Rows, dataset.Columns = phantom.pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.WindowCenter, dataset.WindowWidth = "2048", "4096"
    dataset.PixelData = (4095 - stored if inverted else stored).tobytes()
    dataset.save_as(path, enforce_file_format=True)


def _describe(dataset: FileDataset, study: Study, number: int, digital: bool) -> None:
    """Fill in patient, study and equipment; all invented."""
    family, given = study.number("family", len(FAMILY_NAMES)), study.number("given", len(GIVEN_NAMES))
    dataset.PatientName = f"{FAMILY_NAMES[family]}^{GIVEN_NAMES[given]}"
    dataset.PatientID = f"PH{study.number('patient', 10**6):06d}"
    dataset.PatientBirthDate = (datetime.date(1935, 1, 1) + datetime.timedelta(study.number("birth", 25_000))).strftime(
        "%Y%m%d"
    )
    dataset.PatientSex = "FM"[study.number("sex", 2)]
    dataset.AccessionNumber = f"A{study.number('accession', 10**7):07d}"
    dataset.StudyID = str(study.number("study", 10**5))
    dataset.StudyDate = dataset.SeriesDate = study.date.strftime("%Y%m%d")
    second = study.number("time", 9 * 3600) - 3 * 3600 + 24 * 3600  # from 21:00 to 06:00
    dataset.StudyTime = dataset.SeriesTime = f"{second // 3600 % 24:02d}{second // 60 % 60:02d}{second % 60:02d}"
    dataset.StudyDescription = "Cervical spine (drawn phantom)"
    dataset.Modality = "DX" if digital else "CR"
    dataset.Manufacturer, dataset.StationName = "cspine phantom", f"ROOM{1 + study.number('room', 3)}"
    dataset.BodyPartExamined, dataset.ViewPosition = "CSPINE", "LL"
    dataset.PatientOrientation = ["A", "F"]
    dataset.SeriesNumber, dataset.InstanceNumber = 1, number
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.BurnedInAnnotation = "YES"
    if digital:
        dataset.PresentationIntentType = "FOR PRESENTATION"
        dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", 1


def _date(seed: int) -> datetime.date:
    return datetime.date(2024, 1, 1) + datetime.timedelta(seed % 700)
