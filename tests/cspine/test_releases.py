"""A release folder on disk: every fault is told by the name of its file."""

import json
import re
from pathlib import Path

import pytest

from cspine import releases
from cspine.errors import Permanent
from cspine.reasons import Reason
from tests.cspine.test_card import card


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a whole release, of which the network is never opened."""
    (tmp_path / "card.json").write_text(json.dumps(card()))
    for name in ("model.keras", "ood.npz", "sentinel.npz"):
        (tmp_path / name).write_bytes(name.encode())
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
