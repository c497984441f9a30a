"""A release folder on disk: every fault is told by the name of its file."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cspine import releases
from cspine.errors import Permanent
from cspine.reasons import Reason
from tests.cspine.test_card import card

OOD = {"mean": np.zeros(4), "scale": np.ones(4), "directions": np.zeros((4, 2)), "variances": np.ones(2),
       "rest": np.array(1.0)}  # fmt: skip
SENTINEL = {"pictures": np.zeros((3, 9, 8), np.uint8), "probabilities": np.zeros((3, 2)), "ood_score": np.ones(3)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a whole release, of which the network is never opened."""
    (tmp_path / "card.json").write_text(json.dumps(card()))
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    np.savez(tmp_path / "ood.npz", **OOD)
    np.savez(tmp_path / "sentinel.npz", **SENTINEL)
    releases.seal(tmp_path)
    return tmp_path


def test_a_whole_release_has_no_fault(folder: Path) -> None:
    assert releases.verify(folder) == []
    assert releases.read_card(folder).name == "demo"


def test_identity_follows_every_byte(folder: Path) -> None:
    before = releases.identity(folder)
    assert re.fullmatch("[0-9a-f]{64}", before)
    assert releases.identity(folder) == before
    (folder / "ood.npz").write_bytes(b"other")
    assert releases.seal(folder) != before


@pytest.mark.parametrize("name", releases.FILES)
def test_a_changed_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"tampered")
    assert releases.verify(folder) == [f"{name} has other bytes than SHA256SUMS says"]


@pytest.mark.parametrize("name", releases.FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert releases.verify(folder) == [f"{name} is missing"]


def test_a_file_too_many_is_named(folder: Path) -> None:
    (folder / "extra.py").write_text("")
    assert releases.verify(folder) == ["extra.py is not part of the release"]


def test_sums_without_a_needed_file(folder: Path) -> None:
    (folder / "ood.npz").unlink()
    releases.seal(folder)
    assert releases.verify(folder) == ["ood.npz is not listed in SHA256SUMS"]


@pytest.mark.parametrize("line", ["nonsense", f"{'0' * 64}  ../card.json", f"{'0' * 64}  "])
def test_sums_that_are_none(folder: Path, line: str) -> None:
    (folder / "SHA256SUMS").write_text(line + "\n")
    assert releases.verify(folder)[0].startswith("SHA256SUMS cannot be read")


def test_no_folder_at_all(tmp_path: Path) -> None:
    assert releases.verify(tmp_path / "none")[0].startswith("SHA256SUMS cannot be read")
    with pytest.raises(Permanent) as caught:
        releases.identity(tmp_path / "none")
    assert caught.value.reason is Reason.BROKEN_RELEASE


def test_a_sealed_card_that_is_wrong(folder: Path) -> None:
    (folder / "card.json").write_text(json.dumps(card(normal_label="healthy")))
    releases.seal(folder)
    assert "normal_label is not among the labels" in releases.verify(folder)[0]


@pytest.mark.parametrize(
    ("name", "arrays", "fault"),
    [
        ("ood.npz", OOD | {"mean": np.zeros(3)}, "ood.npz does not fit: scale has the shape (4,)"),
        ("ood.npz", OOD | {"rest": np.ones(1)}, "ood.npz does not fit: rest has the shape (1,)"),
        ("ood.npz", OOD | {"mean": np.array(["x"] * 4)}, "ood.npz lacks mean"),
        ("sentinel.npz", OOD, "sentinel.npz lacks ood_score, pictures, probabilities"),
        ("sentinel.npz", SENTINEL | {"probabilities": np.zeros((3, 3))},
         "sentinel.npz does not fit: probabilities has the shape (3, 3)"),
        ("sentinel.npz", SENTINEL | {"pictures": np.zeros((0, 9, 8))},
         "sentinel.npz does not fit: pictures has the shape (0, 9, 8)"),
    ],
)  # fmt: skip
def test_sealed_arrays_that_do_not_fit(folder: Path, name: str, arrays: dict[str, np.ndarray], fault: str) -> None:
    np.savez(folder / name, **arrays)
    releases.seal(folder)
    assert releases.verify(folder) == [fault]


@pytest.mark.parametrize(
    ("name", "fault"),
    [("model.keras", "model.keras is not a Keras file"), ("ood.npz", "ood.npz cannot be read"),
     ("sentinel.npz", "sentinel.npz cannot be read")],
)  # fmt: skip
@pytest.mark.parametrize("content", [b"", b"not what it seems", b"PK\x03\x04 cut"])
def test_a_sealed_file_that_is_no_such_thing(folder: Path, name: str, fault: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    releases.seal(folder)
    assert releases.verify(folder) == [fault]


def test_one_array_where_several_belong(folder: Path) -> None:
    with (folder / "ood.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    releases.seal(folder)
    assert releases.verify(folder) == ["ood.npz cannot be read"]


def test_pickled_objects_are_not_opened(folder: Path) -> None:
    np.savez(folder / "ood.npz", **OOD | {"mean": np.array([{}], object)}, allow_pickle=True)
    releases.seal(folder)
    assert releases.verify(folder) == ["ood.npz cannot be read"]
