"""Phantoms as files: DICOM with a sound header, PNG, the truth beside them."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from PIL import Image

from cspine import phantoms
from cspine.commands.phantom import phantom as command
from cspine.errors import Usage

SEED = 27  # among the next few are both polarities and both modalities


def truth(folder: Path) -> list[dict[str, str]]:
    """Read truth.csv."""
    with (folder / "truth.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_dicom_phantoms_have_a_sound_header(tmp_path: Path) -> None:
    paths = phantoms.write(tmp_path, 8, seed=SEED)
    datasets = [pydicom.dcmread(path) for path in paths]
    assert len({d.StudyInstanceUID for d in datasets}) == len({d.SOPInstanceUID for d in datasets}) == 8
    assert {d.Modality for d in datasets} == {"CR", "DX"}
    assert {d.PhotometricInterpretation for d in datasets} == {"MONOCHROME1", "MONOCHROME2"}
    for d in datasets:
        assert d.StudyInstanceUID.is_valid and len(d.StudyInstanceUID) <= 64
        assert (d.BodyPartExamined, d.ViewPosition) == ("CSPINE", "LL")
        assert (d.BitsAllocated, d.BitsStored, d.HighBit) == (16, 12, 11)
        assert str(d.PatientName) and len(d.StudyDate) == 8 and len(d.StudyTime) == 6


def test_the_pixels_are_the_drawing(tmp_path: Path) -> None:
    for i, path in enumerate(phantoms.write(tmp_path, 6, seed=SEED)):
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array.astype(float)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            stored = 4095 - stored
        np.testing.assert_array_equal(np.rint(stored * 255 / 4095), phantoms.draw(SEED + i).pixels)


def test_the_same_command_writes_the_same_bytes(tmp_path: Path) -> None:
    def digests(folder: Path) -> list[str]:
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in phantoms.write(folder, 2, seed=5)]

    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_command_writes_png_with_the_labels_in_turn(tmp_path: Path) -> None:
    arguments = [str(tmp_path), "--count", "4", "--seed", "9", "--format", "png", "--labels", "normal, fracture"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    rows = truth(tmp_path)
    assert [row["label"] for row in rows] == ["normal", "fracture"] * 2
    assert rows[0]["level"] == rows[0]["left"] == ""
    for row in rows:
        with Image.open(tmp_path / row["file"]) as picture:
            assert (picture.mode, picture.size) == ("L", (400, 512))
    drawn = phantoms.draw(10, "fracture")
    assert (rows[1]["level"], tuple(int(rows[1][side]) for side in ("left", "top", "right", "bottom"))) == (
        drawn.level,
        drawn.box,
    )


def test_command_refuses_an_unknown_label(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="sprain"):
        CliRunner().invoke(command, [str(tmp_path), "--count", "1", "--seed", "1", "--labels", "sprain"],
                           catch_exceptions=False)  # fmt: skip
