"""A tiny network, trained by the command itself, and pictures for it; each made once."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cspine import phantoms, releases
from cspine.card import Card, Input
from models.commands import train
from models.training.data import Samples

NAMES = ["normal", "fracture", "dislocation"]
WANTED = Input(size=64, channels=1)
WIDTH = 0.0625


@pytest.fixture(scope="session")
def samples() -> Samples:
    """Give twelve phantoms, drawn in this process."""
    found = Samples(lesions=[])
    for seed in range(12):
        found.add(phantoms.draw(seed, NAMES[seed % 3]), seed, NAMES, with_mask=True)
    return found


@pytest.fixture(scope="session")
def output() -> list[str]:
    """Collect the lines that the training prints."""
    return []


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, output: list[str]) -> tuple[Path, Card]:
    """Train a network that knows nothing yet, and give its release."""
    folder = tmp_path_factory.mktemp("releases") / "tiny"
    arguments = ["--phantoms", "24", "--held-out", "12", "--size", str(WANTED.size), "--width", str(WIDTH),
                 "--epochs", "2", "--batch", "8", "--float32", "--seed", "4", "--out", str(folder)]  # fmt: skip
    result = CliRunner().invoke(train, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    output += result.output.splitlines()
    return folder, releases.read_card(folder)
