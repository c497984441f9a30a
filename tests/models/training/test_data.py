"""What is trained on: seeds that no one else draws, folders, splits without leaks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cspine import phantoms
from cspine.errors import Usage
from cspine.phantoms.files import Study, _date, write_dicom
from cspine.settings import Settings
from models.training import data


def silent(done: int, total: int) -> None:
    """Report nothing."""


def silent_too(text: str) -> None:
    """Say nothing."""


def test_drawn_splits_are_balanced_and_share_no_seed() -> None:
    reports: list[tuple[int, int]] = []
    splits = data.drawn({"training": 6, "validation": 3, "test": 3}, 2, ["normal", "fracture", "dislocation"],
                        lambda done, total: reports.append((done, total)))  # fmt: skip
    seeds = [int(line.split()[0]) for samples in splits.values() for line in samples.manifest]
    assert len(set(seeds)) == 12
    assert min(seeds) >= data.FIRST_SEED
    assert splits["training"].labels == [0, 1, 2, 0, 1, 2]
    assert len(splits["test"].masks) == 3 and not splits["training"].masks
    assert reports[-1] == (12, 12)
    again = phantoms.draw(seeds[1], "fracture")
    np.testing.assert_array_equal(splits["training"].pictures[1], again.pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder per label: pictures, a patient with two films in DICOM, a file that is none."""
    rng = np.random.default_rng(0)
    for label in ("normal", "fracture"):
        (tmp_path / label).mkdir()
        for i in range(40):
            Image.fromarray(rng.integers(0, 256, (96, 80), np.uint8)).save(tmp_path / label / f"{i:02d}.png")
    for number in (1, 2, 3):
        path = tmp_path / "fracture" / f"film-{number}.dcm"
        write_dicom(path, phantoms.draw(number, "fracture"), Study(1, _date(1)), number)
    (tmp_path / "normal" / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_is_decoded_and_split_by_patient(folder: Path) -> None:
    left_out: list[str] = []
    splits = data.found(folder, ["normal", "fracture"], Settings(), silent, left_out.append)
    assert left_out == ["left out: normal/notes.txt (unsupported_type)"]
    assert sum(map(len, splits.values())) == 83
    assert len(splits["training"]) > len(splits["test"]) > 0
    names = {split: [line.split("#")[0] for line in samples.manifest] for split, samples in splits.items()}
    films = [split for split, lines in names.items() if any("film" in line for line in lines)]
    assert len(films) == 1
    assert sum("film" in line for line in names[films[0]]) == 3
    assert all(samples.lesions is None for samples in splits.values())


def test_the_same_pixels_are_never_in_two_splits(folder: Path) -> None:
    for i in range(40):
        (folder / "normal" / f"again-{i:02d}.png").write_bytes((folder / "normal" / f"{i:02d}.png").read_bytes())
    splits = data.found(folder, ["normal", "fracture"], Settings(), silent, silent_too)
    pixels = [{picture.tobytes() for picture in samples.pictures} for samples in splits.values()]
    assert not pixels[0] & pixels[1] and not pixels[0] & pixels[2] and not pixels[1] & pixels[2]


def test_the_manifest_follows_every_picture(folder: Path) -> None:
    before = data.manifest_sha256(data.found(folder, ["normal", "fracture"], Settings(), silent, silent_too))
    assert before == data.manifest_sha256(data.found(folder, ["normal", "fracture"], Settings(), silent, silent_too))
    (folder / "normal" / "00.png").unlink()
    assert before != data.manifest_sha256(data.found(folder, ["normal", "fracture"], Settings(), silent, silent_too))


def test_a_missing_label_is_said(folder: Path) -> None:
    with pytest.raises(Usage, match="no folder dislocation"):
        data.found(folder, ["normal", "dislocation"], Settings(), silent, silent_too)


def test_too_few_pictures_are_said(tmp_path: Path) -> None:
    for label in ("normal", "fracture"):
        (tmp_path / label).mkdir()
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(tmp_path / "normal" / "only.png")
    with pytest.raises(Usage, match="more are needed"):
        data.found(tmp_path, ["normal", "fracture"], Settings(), silent, silent_too)
