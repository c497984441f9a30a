"""`cspine train`: what it refuses, and a folder of films; that phantoms work is shown by the fixture `tiny`."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cspine import releases
from cspine.__main__ import main
from cspine.card import Card
from cspine.errors import Usage
from models.commands import parse_labels, parse_proportions, train
from models.training import fit, reading, release
from tests.models.training.small import LABELS, stripes


def run(*arguments: object) -> Result:
    """Run the command and let its errors through."""
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(train, words, catch_exceptions=False, standalone_mode=False)


def interrupted(*_: object) -> None:
    """End a training in the middle."""
    raise OSError("no space left on device")


def test_data_or_phantoms_but_not_both(tmp_path: Path) -> None:
    for source in ([], [tmp_path, "--phantoms", 9]):
        with pytest.raises(Usage, match="either"):
            run(*source, "--out", tmp_path / "out")


def test_unknown_network(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="there are alexnet, googlenet"):
        run("--phantoms", 9, "--network", "resnet", "--out", tmp_path / "out")


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(Usage, match="not a release"):
        run("--phantoms", 9, "--out", tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_wrong_recipes_and_lists_end_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--phantoms", "9", "--out", str(tmp_path / "out"), "--config", "nowhere"]) == 2
    assert "there is no recipe nowhere" in capsys.readouterr().err
    (tmp_path / "list.csv").write_text("path\n")
    assert main(["train", str(tmp_path / "list.csv"), "--out", str(tmp_path / "out")]) == 2
    assert "has no column file, label" in capsys.readouterr().err


def test_labels_are_parsed_in_their_order() -> None:
    labels = parse_labels("normal=0, fracture=0.8")
    assert [(label.name, label.weight) for label in labels] == [("normal", 0), ("fracture", 0.8)]


@pytest.mark.parametrize("text", ["normal", "normal=zero", "normal=0,fracture=3", "=1"])
def test_labels_that_are_none(text: str) -> None:
    with pytest.raises(Usage, match="label=weight"):
        parse_labels(text)


def test_proportions_are_put_in_the_labels_order() -> None:
    names = ["normal", "fracture", "dislocation"]
    given = parse_proportions("dislocation=530,fracture=772,normal=707", names)
    assert list(given.items()) == [("normal", 707), ("fracture", 772), ("dislocation", 530)]
    assert parse_proportions(None, names) == {"normal": 1, "fracture": 1, "dislocation": 1}
    for text in ("normal=1", "normal=1,fracture=0,dislocation=1", "normal", "normal=1,fracture=x,dislocation=1"):
        with pytest.raises(Usage, match="proportions"):
            parse_proportions(text, names)


def test_the_run_lies_beside_the_release(tiny: tuple[Path, Card]) -> None:
    folder, card = tiny
    beside = folder.with_name("tiny.training")
    assert {path.name for path in beside.iterdir()} == {
        "left_out.jsonl", "log.csv", "manifest.jsonl", "run.json", "tensorboard",
    }  # fmt: skip
    facts = json.loads((beside / "run.json").read_text())
    assert facts["release"] == releases.identity(folder)
    assert facts["data_manifest_sha256"] == card.data_manifest_sha256
    assert hashlib.sha256((beside / "manifest.jsonl").read_bytes()).hexdigest() == card.data_manifest_sha256
    assert card.pictures == {"training": 24, "validation": 12, "test": 12, "left_out": 0}


def test_a_folder_of_films_becomes_a_release_though_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label, name in (("normal", "c-spine_nor"), ("fracture", "c-spine_frac")):
        (tmp_path / "films" / name).mkdir(parents=True)
        for i, film in enumerate(stripes(12, seed=len(label)).pictures):
            Image.fromarray(film).save(tmp_path / "films" / name / f"{i}.png")
    (tmp_path / "films" / "c-spine_nor" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    arguments = [tmp_path / "films", "--labels", "normal=0,fracture=1", "--network", "alexnet", "--width", 0.03,
                 "--size", 68, "--epochs", 1, "--batch", 8, "--float32", "--out", tmp_path / "out"]  # fmt: skip

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(release, "write", interrupted)
        run(*arguments)
    with pytest.raises(Usage, match="an interrupted training lies in"):
        run(*arguments)
    result = run(*arguments, "--resume")
    assert result.exit_code == 0
    assert "epoch 1/1" not in result.output  # it is done already
    card = releases.read_card(tmp_path / "out")
    assert (card.network, card.names, card.demo) == ("alexnet", ("normal", "fracture"), False)
    assert card.pictures == {"training": 16, "validation": 4, "test": 4, "left_out": 1}
    assert "Of 24 of 24 pictures the patient was not known" in card.limits
    assert "left out: c-spine_nor/broken.png" in result.output


def films(folder: Path, broken: bool = False) -> Path:
    """Write a list of three films for each part, one of each label; `broken`: and two files that are none."""
    rows, pictures = ["file,label,split"], stripes(9).pictures
    for i, split in enumerate(("training", "validation", "test") * 3):
        label = LABELS[i // 3]
        Image.fromarray(pictures[i]).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{label},{split}")
    if broken:
        for name in ("torn.png", "2.png"):
            (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n")
        rows.append("torn.png,normal,training")
    (folder / "list.csv").write_text("\n".join(rows))
    return folder / "list.csv"


def test_a_diverged_training_ends_with_status_1_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its losses are numbers to the end; warnings would be errors here."""
    arguments = ["train", str(films(tmp_path)), "--network", "alexnet", "--width", "0.25", "--size", "68", "--batch",
                 "4", "--epochs", "1", "--rate", "9.9", "--float32", "--out", str(tmp_path / "out")]  # fmt: skip
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "the training has diverged" in said and "try a lower rate" in said and "not_a_number" in said
    assert re.search(r"epoch \d, the best, is kept in .*out\.training", said)
    assert not (tmp_path / "out").exists()


def test_what_is_left_out_is_listed_though_the_rest_will_not_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(films(tmp_path, broken=True)), "--network", "googlenet", "--width", "0.1", "--size", "64",
                 "--out", str(tmp_path / "out")]  # fmt: skip
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "left out: 2.png" in said and "left out: torn.png" in said and "2 files left out" in said
    assert "one picture of" in said or "has no picture of normal" in said


def test_a_recipe_that_does_not_fit_is_refused_before_a_film_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "read", lambda *_: pytest.fail("a film was read"))
    arguments = ["train", str(films(tmp_path)), "--out", str(tmp_path / "out"), "--config", "transfer"]
    assert main(arguments) == 2
    assert "names no pretrained weights for them; give --pretrained" in capsys.readouterr().err
    assert main([*arguments, "--pretrained", str(tmp_path / "gone.weights.h5")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_deterministic_is_what_makes_it_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(fit, "exactly", lambda: asked.append(True))
    monkeypatch.setattr(fit, "check", interrupted)
    for option, expected in (([], []), (["--deterministic"], [True])):
        with pytest.raises(OSError, match="no space"):
            run("--phantoms", 9, "--out", tmp_path / "out", *option)
        assert asked == expected
