"""`cspine train`: what it refuses; that it works is shown by the fixture `tiny`, which is made by it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cspine.errors import Usage
from models.commands import parse_labels, train


def run(*arguments: object) -> None:
    """Run the command and let its errors through."""
    CliRunner().invoke(train, [str(argument) for argument in arguments], catch_exceptions=False, standalone_mode=False)


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


def test_labels_are_parsed_in_their_order() -> None:
    labels = parse_labels("normal=0, fracture=0.8")
    assert [(label.name, label.weight) for label in labels] == [("normal", 0), ("fracture", 0.8)]


@pytest.mark.parametrize("text", ["normal", "normal=zero", "normal=0,fracture=3", "=1"])
def test_labels_that_are_none(text: str) -> None:
    with pytest.raises(Usage, match="label=weight"):
        parse_labels(text)
