"""Which files there are: folders by any of their names, lists as CSV, and what is wrong with either."""

from pathlib import Path

import pytest

from cspine.errors import Usage
from models.training.listing import listed
from tests.models.training.small import LABELS


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Give three empty files, a.png to c.png."""
    for name in "abc":
        (tmp_path / f"{name}.png").touch()
    return tmp_path


def csv(folder: Path, text: str) -> Path:
    """Write a list beside the films."""
    (folder / "list.csv").write_text(text)
    return folder / "list.csv"


def test_folders_go_by_the_original_project_s_names_and_by_plain_ones(tmp_path: Path) -> None:
    for name in ("c-spine_nor", "C-Spine_Frac", "dislocation"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "film.dcm").touch()
    for name in ("notes.txt", ".DS_Store", ".hidden/deep/film.dcm", "__MACOSX/film.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    entries, left_out = listed(tmp_path, LABELS)
    assert {(entry.file, entry.label) for entry in entries} == {
        ("c-spine_nor/deep/film.dcm", "normal"),
        ("C-Spine_Frac/deep/film.dcm", "fracture"),
        ("dislocation/deep/film.dcm", "dislocation"),
    }
    assert {file.file for file in left_out} == {"notes.txt", ".DS_Store", ".hidden/deep/film.dcm", "__MACOSX/film.dcm"}
    assert {file.reason for file in left_out} == {"in no label's folder"}


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (["normal", "fracture"], "has no folder dislocation"),
        (["normal", "fracture", "dislocation", "chest"], "no label is named by the folder chest"),
        (["normal", "fracture", "dislocation"], "has no file of normal, fracture, dislocation"),
    ],
)
def test_folders_that_will_not_do(tmp_path: Path, folders: list[str], words: str) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(Usage, match=words):
        listed(tmp_path, LABELS)


def test_a_list_gives_patient_split_and_further_columns(films: Path) -> None:
    text = "file,label,patient,split,site\na.png,c-spine_nor,7,train,north\nb.png,fracture,,val,\n"
    entries, _ = listed(csv(films, text + "c.png,Dislocation,8,test,south\n"), LABELS)
    assert [entry.label for entry in entries] == list(LABELS)
    assert [entry.patient for entry in entries] == ["7", "", "8"]
    assert [entry.split for entry in entries] == ["training", "validation", "test"]
    assert entries[0].columns == {"site": "north"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\na.png,normal\n", "has no column file"),
        ("file,label\na.png,broken\n", "line 2: 'broken' is none of the labels"),
        ("file,label\na.png,normal\nx.png,fracture\ny.png,fracture\n", "lists what is not there: x.png, y.png"),
        ("file,label\na.png,normal\na.png,fracture\n", "lists a file more than once: a.png"),
        ("file,label\na.png,normal,more\n", "line 2: another number of columns"),
        ("file,label\na.png\n", "line 2: another number of columns"),
        ("file,label,split\na.png,normal,train\nb.png,fracture,\n", "gives some files a split and others none: b.png"),
        ("file,label,split\na.png,normal,holdout\n", "line 2: 'holdout' is none of the splits"),
        ("file,label\na.png,normal\nb.png,fracture\n", "has no file of dislocation"),
        ('file,label\n"a.png,normal\n', "is not a list as CSV"),
    ],
)
def test_lists_that_will_not_do(films: Path, text: str, words: str) -> None:
    with pytest.raises(Usage, match=words):
        listed(csv(films, text), LABELS)
