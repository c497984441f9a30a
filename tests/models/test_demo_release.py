"""The release that lies in the repository: whole, small, honest about itself, and able to do what its card says."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine import phantoms, releases
from cspine.decoding import canonical, decode
from cspine.preprocessing import to_input
from cspine.settings import Settings
from models.release import LoadedRelease, Prediction, load
from tests.conftest import ROOT, needs_shared

FOLDER = ROOT / "models" / "releases" / "demo"
COUNT = 60
FIRST_SEED = 700_000  # far below where training draws from


@pytest.fixture(scope="module")
def release() -> LoadedRelease:
    return load(FOLDER)


@pytest.fixture(scope="module")
def unseen() -> list[phantoms.Phantom]:
    return [phantoms.draw(FIRST_SEED + i, ("normal", "fracture", "dislocation")[i % 3]) for i in range(COUNT)]


@pytest.fixture(scope="module")
def answer(release: LoadedRelease, unseen: list[phantoms.Phantom]) -> Prediction:
    return ask(release, [phantom.pixels for phantom in unseen])


def ask(release: LoadedRelease, pictures: list[NDArray[np.uint8]]) -> Prediction:
    """Analyse canonical pictures."""
    return release.predict(np.stack([to_input(picture, release.card.input) for picture in pictures]))


def test_it_is_whole_and_small() -> None:
    assert releases.verify(FOLDER) == []
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 8e6
    assert (FOLDER / "ood.npz").stat().st_size <= 1e6


def test_its_card_says_what_it_is() -> None:
    card = releases.read_card(FOLDER)
    assert card.demo
    assert card.names == ("normal", "fracture", "dislocation")
    assert "never seen a radiograph" in card.limits
    assert "read by a person" in card.intended_use


def test_its_card_holds_the_figures_that_were_asked_for() -> None:
    metrics = releases.read_card(FOLDER).metrics
    assert metrics["accuracy"].n == 500
    assert metrics["accuracy"].value >= 0.97
    assert metrics["saliency_hit"].value >= 0.80
    assert metrics["baseline_logistic_32x32"].high < 0.75
    assert metrics["saliency_hit"].low > metrics["saliency_hit_of_centre"].high


def test_it_names_unseen_phantoms(release: LoadedRelease, unseen: list[phantoms.Phantom], answer: Prediction) -> None:
    right = [
        release.card.names[i] == phantom.label
        for i, phantom in zip(answer.probabilities.argmax(1), unseen, strict=True)
    ]
    assert np.mean(right) >= 0.95


def test_it_takes_unseen_phantoms_for_its_own_kind(answer: Prediction) -> None:
    assert answer.ood.mean() <= 0.05


def test_its_maps_point_at_lesions(unseen: list[phantoms.Phantom], answer: Prediction) -> None:
    hits = []
    for phantom, grid in zip(unseen, answer.saliency, strict=True):
        if phantom.label == "normal":
            continue
        row, column = np.unravel_index(grid.argmax(), grid.shape)
        cell = 512 / grid.shape[0]
        y, x = int((row + 0.5) * cell), int((column + 0.5) * cell - 56)  # 400 columns in the middle of a square of 512
        hits.append(0 <= x < 400 and phantom.mask[y, x])
    assert np.mean(hits) >= 0.8


def test_it_knows_that_films_and_noise_are_not_drawings(release: LoadedRelease) -> None:
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (512, 400), np.uint8) for _ in range(5)]
    assert ask(release, [*noise, np.full((512, 400), 90, np.uint8)]).ood.all()


@pytest.mark.parametrize("folder", ["radiographs/cervical", "radiographs/chest"])
def test_it_knows_that_radiographs_are_not_drawings(release: LoadedRelease, folder: str) -> None:
    files = sorted(path for path in needs_shared(folder).rglob("*") if path.suffix in {".png", ".jpg"})
    pictures = [canonical(frame) for path in files[::4] for frame in decoded(path)]
    assert ask(release, pictures).ood.mean() >= 0.95


def decoded(path: Path) -> list:
    """Return the frames of a picture file."""
    with path.open("rb") as file:
        return decode(file, path.name, Settings()).frames
