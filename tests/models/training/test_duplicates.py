"""Near-duplicates: one film in other guises is found, other films are left apart."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cspine import phantoms
from models.training.duplicates import clusters, near_duplicates, perceptual_hash, standardised

CHEST = Path(__file__).parents[4] / "shared" / "radiographs" / "chest"
Picture = np.ndarray


@pytest.fixture(scope="module")
def films() -> list[Picture]:
    """Give eight drawings of different people."""
    return [phantoms.draw(seed).pixels for seed in range(8)]


def moved(picture: Picture, degrees: float = 0, right: float = 0) -> Picture:
    """Turn and shift a picture."""
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    matrix[0, 2] += right * width
    return cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


GUISES: dict[str, Callable[[Picture], Picture]] = {
    "copied": lambda picture: picture.copy(),
    "half the size": lambda picture: cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "JPEG": lambda picture: cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 0),
    "darker": lambda picture: (255 * (picture / 255) ** 1.3).astype(np.uint8),
    "mirrored": lambda picture: picture[:, ::-1],
    "turned by a degree": lambda picture: moved(picture, degrees=1),
    "shifted by 2 %": lambda picture: moved(picture, right=0.02),
    "with a marker": lambda picture: cv2.putText(picture.copy(), "L", (5, 60), 0, 2, 255, 5),
}


@pytest.mark.parametrize("guise", GUISES)
def test_a_film_in_another_guise_is_found(films: list[Picture], guise: str) -> None:
    disguised = [GUISES[guise](film) for film in films]
    pairs = set(near_duplicates(films + disguised))
    assert pairs == {(i, i + len(films)) for i in range(len(films))}


def test_clusters_are_transitive(films: list[Picture]) -> None:
    far = moved(films[0], right=0.1)
    steps = [moved(films[0], right=share) for share in (0.03, 0.06)]
    assert (0, 1) not in set(near_duplicates([films[0], far]))
    found = clusters([films[0], far, *steps, films[1]])
    assert found[0] == found[1] == found[2] == found[3] != found[4]


def test_blank_pictures_resemble_nothing() -> None:
    blank = np.zeros((64, 48), np.uint8)
    assert list(near_duplicates([blank, blank + 7, phantoms.draw(1).pixels])) == []
    assert clusters([]).tolist() == []
    assert clusters([blank]).tolist() == [0]


def test_hash_and_correlation_of_known_pictures() -> None:
    """A negative has every bit but the mean's turned over, and correlates with -1."""
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32), np.uint8)
    turned = int(np.bitwise_count(perceptual_hash(picture[0]) ^ perceptual_hash(255 - picture[0])))
    assert turned in (62, 63, 64)
    both = standardised(np.concatenate([picture, 255 - picture]))
    np.testing.assert_allclose(both @ both.T, [[1, -1], [-1, 1]], atol=1e-5)


@pytest.mark.skipif(not CHEST.exists(), reason="the shared radiographs are not here")
def test_films_of_different_chests_are_left_apart() -> None:
    films = [np.asarray(Image.open(path).convert("L")) for path in sorted(CHEST.rglob("*.*"))]
    assert len(films) == 240
    assert len(set(clusters(films).tolist())) == 240
