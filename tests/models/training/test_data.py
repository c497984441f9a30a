"""What is trained on: seeds that no one else draws, films from bytes to parts, nothing silently dropped."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from cspine import phantoms
from cspine.decoding import canonical, decode
from cspine.errors import Usage
from cspine.phantoms.files import Study, _date, write_dicom
from cspine.settings import Settings
from models.training import data, manifest
from models.training.manifest import LeftOut
from models.training.splitting import SHARES
from tests.models.training.small import stripes

TWO = ["normal", "fracture"]


def silent(done: int, total: int) -> None:
    """Report nothing."""


def forget(files: Sequence[LeftOut]) -> None:
    """Take the files that are left out."""


def test_drawn_splits_share_no_seed_and_keep_the_proportions() -> None:
    reports: list[tuple[int, int]] = []
    proportions = {"normal": 2, "fracture": 1, "dislocation": 1}
    found = data.drawn({"training": 8, "validation": 4, "test": 4}, 2, proportions, lambda *at: reports.append(at))
    seeds = [int(record.patient) for record in found.records]
    assert len(set(seeds)) == 16
    assert min(seeds) >= data.FIRST_SEED
    assert Counter(found.splits["training"].labels) == {0: 4, 1: 2, 2: 2}
    assert len(found.splits["test"].masks) == 4 and not found.splits["training"].masks
    assert reports[-1] == (16, 16)
    first = found.splits["training"].records[1]
    np.testing.assert_array_equal(
        found.splits["training"].pictures[1], phantoms.draw(int(first.patient), first.label).pixels
    )


def test_labels_are_dealt_to_the_nearest_whole_number_and_mixed() -> None:
    assert data.dealt(6, {"a": 1, "b": 1, "c": 1}) == ["a", "b", "c", "a", "b", "c"]
    original = data.dealt(3000, {"dislocation": 530, "fracture": 772, "normal": 707})
    assert Counter(original) == {"dislocation": 791, "fracture": 1153, "normal": 1056}
    assert Counter(original[:300]) == {"dislocation": 79, "fracture": 115, "normal": 106}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder per label: pictures, copies in other guises, a patient with three films, files that are none."""
    path = tmp_path_factory.mktemp("films")
    for label in TWO:
        (path / label).mkdir()
        for i, small in enumerate(stripes(12, seed=len(label)).pictures):
            Image.fromarray(small).resize((360, 400)).save(path / label / f"{i:02d}.png")
    for i in range(6):
        picture = Image.open(path / "normal" / f"{i:02d}.png")
        picture.resize((200, 256)).save(path / "normal" / f"small-{i:02d}.jpg")
    for number in (1, 2, 3):
        write_dicom(
            path / "fracture" / f"film-{number}.dcm", phantoms.draw(number, "fracture"), Study(1, _date(1)), number
        )
    (path / "normal" / "notes.txt").write_text("no picture")
    (path / "fracture" / "broken.png").write_bytes((path / "fracture" / "00.png").read_bytes()[:2000])
    return path


@pytest.fixture(scope="module")
def found(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> data.Data:
    """Read the folder once."""
    scratch = tmp_path_factory.mktemp("scratch")
    return data.found(folder, TWO, SHARES, 1, Settings(secret_key="a", var=scratch), scratch, silent, forget)


def test_pictures_are_what_the_decoder_gives(found: data.Data, folder: Path) -> None:
    samples = found.splits["training"]
    for picture, record in zip(samples.pictures, samples.records, strict=True):
        with (folder / record.file).open("rb") as file:
            np.testing.assert_array_equal(
                picture, canonical(decode(file, record.file, Settings()).frames[record.frame])
            )


def test_what_cannot_be_read_is_listed_and_counted(found: data.Data, tmp_path: Path) -> None:
    left_out = {LeftOut("normal/notes.txt", "unsupported_type"), LeftOut("fracture/broken.png", "truncated")}
    assert set(found.left_out) == left_out
    assert found.counts["left_out"] == 2
    assert sum(found.counts.values()) == 35
    manifest.write(tmp_path, found.records, found.left_out)
    listed = [json.loads(line) for line in (tmp_path / "left_out.jsonl").read_text().splitlines()]
    assert {LeftOut(**row) for row in listed} == left_out


def test_patients_and_near_duplicates_stay_together(found: data.Data) -> None:
    split = {record.file: record.split for record in found.records}
    assert len({split[f"fracture/film-{number}.dcm"] for number in (1, 2, 3)}) == 1
    for i in range(6):
        assert split[f"normal/{i:02d}.png"] == split[f"normal/small-{i:02d}.jpg"]
    assert found.splits["training"].lesions is None


def test_the_manifest_names_every_picture_and_its_provenance(found: data.Data, tmp_path: Path) -> None:
    manifest.write(tmp_path, found.records, found.left_out)
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 33
    film = next(row for row in rows if row["file"] == "fracture/film-1.dcm")
    assert len(film["sha256"]) == len(film["pixels_sha256"]) == 64
    assert len(film["patient"]) == 16 and film["columns"]["view"]
    assert {row["augmented"] for row in rows if row["split"] != "training"} == {"none"}
    assert {row["augmented"] for row in rows if row["split"] == "training"} == {"each epoch"}


def test_a_list_gives_the_patients(folder: Path, tmp_path: Path) -> None:
    rows = [f"{folder / label / f'{i:02d}.png'},{label},{i // 2},{i % 3}" for label in TWO for i in range(12)]
    (tmp_path / "list.csv").write_text("file,label,patient,site\n" + "\n".join(rows))
    found = data.found(tmp_path / "list.csv", TWO, SHARES, 1, Settings(var=tmp_path), tmp_path, silent, forget)
    parts: dict[str, set[str]] = {}
    for record in found.records:
        parts.setdefault(record.patient, set()).add(record.split)
    assert len(parts) == 6
    assert all(len(splits) == 1 for splits in parts.values())
    assert found.records[0].columns["site"] in "012"


def test_one_picture_under_two_labels_is_an_error(folder: Path, tmp_path: Path) -> None:
    rows = [f"{folder / 'normal' / f'{i:02d}.png'},{TWO[i % 2]}" for i in range(6)]
    (tmp_path / "copy.png").write_bytes((folder / "normal" / "00.png").read_bytes())
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "list.csv").write_text(
        "file,label\n" + "\n".join([*rows, "copy.png,fracture", "torn.png,normal"])
    )  # fmt: skip
    lost: list[LeftOut] = []
    with pytest.raises(Usage, match=r"labels disagree about the same pixels: .*00.png .normal., copy.png .fracture."):
        data.found(tmp_path / "list.csv", TWO, SHARES, 1, Settings(var=tmp_path), tmp_path, silent, lost.extend)
    assert [file.file for file in lost] == ["torn.png"]


def test_a_pseudonym_is_keyed(found: data.Data, folder: Path) -> None:
    """Whoever has the manifest and not the key cannot try which patient it is."""
    record = next(record for record in found.records if record.file == "fracture/film-1.dcm")
    patient = str(pydicom.dcmread(folder / record.file, stop_before_pixels=True).PatientID)
    assert record.patient == manifest.pseudonym(patient, Settings(secret_key="a"))
    assert record.patient != manifest.pseudonym(patient, Settings(secret_key="b"))
    assert record.patient != hashlib.sha256(patient.encode()).hexdigest()[:16]
    assert manifest.pseudonym("", Settings(secret_key="a")) == ""
