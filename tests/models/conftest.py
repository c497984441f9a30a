"""A tiny network, trained by the command itself, and pictures for it; each made once."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cspine import phantoms, releases
from cspine.card import Card, Input
from models import release
from models.commands import train
from models.release import LoadedRelease
from models.training.data import Samples
from tests.once import once

NAMES = ["normal", "fracture", "dislocation"]
WANTED = Input(size=64, channels=1)
WIDTH = 0.0625
true_load = release.load


@pytest.fixture(scope="session")
def samples() -> Samples:
    """Give twelve phantoms, drawn in this process."""
    found = Samples(lesions=[])
    for seed in range(12):
        found.add(phantoms.draw(seed, NAMES[seed % 3]), seed, NAMES, with_mask=True)
    return found


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a network that knows nothing yet; give the folder of its release, its run and the lines that it prints."""

    def make(folder: Path) -> None:
        arguments = ["--phantoms", "24", "--held-out", "12", "--size", str(WANTED.size), "--width", str(WIDTH),
                     "--epochs", "2", "--batch", "8", "--float32", "--seed", "4",
                     "--out", str(folder / "tiny")]  # fmt: skip
        result = CliRunner().invoke(train, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        (folder / "output.txt").write_text(result.output)

    return once(tmp_path_factory, "trained", make)


@pytest.fixture(scope="session")
def output(trained: Path) -> list[str]:
    """Give the lines that the training has printed."""
    return (trained / "output.txt").read_text().splitlines()


@pytest.fixture(scope="session")
def tiny(trained: Path) -> tuple[Path, Card]:
    """Give the release of the training."""
    return trained / "tiny", releases.read_card(trained / "tiny")


@pytest.fixture(scope="session")
def loaded() -> dict[str, LoadedRelease]:
    """Keep the releases that are in memory already, by their identity."""
    return {}


@pytest.fixture
def load_once(monkeypatch: pytest.MonkeyPatch, loaded: dict[str, LoadedRelease]) -> None:
    """Load each release once for all tests of what comes after that."""

    def load(folder: Path) -> LoadedRelease:
        identity = releases.identity(folder)
        if identity not in loaded:
            loaded[identity] = true_load(folder)
        return loaded[identity]

    monkeypatch.setattr(release, "load", load)
