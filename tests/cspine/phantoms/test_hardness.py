"""Phantoms give their class away by the lesion only: no simple figure and no simple method finds it.

The samples are small so that the test is quick. The figure for logistic regression on 3,600 phantoms stands in the
demo release's card, and `tests/models/test_demo_release.py` holds that one to the same bound.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cspine.phantoms import draw
from cspine.phantoms.drawing import ANATOMY, FILM, LESION
from cspine.phantoms.film import film
from cspine.phantoms.lesions import LABELS, lesion

COUNT = 210


@pytest.fixture(scope="module")
def sample() -> tuple[list[NDArray[np.uint8]], NDArray[np.int64]]:
    labels = np.arange(COUNT) % 3
    return [draw(50_000 + i, LABELS[label]).pixels for i, label in enumerate(labels)], labels


def accuracy(figures: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the cross-validated accuracy of logistic regression; chance is a third."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    return float(cross_val_score(classifier, figures, labels, cv=5).mean())


def nuisance(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return figures of border, exposure and noise: strips along the edges, quantiles, fine grain."""
    edges = [pixels[:8].mean(0)[::8], pixels[-8:].mean(0)[::8], pixels[:, :8].mean(1)[::8], pixels[:, -8:].mean(1)[::8]]
    quantiles = np.percentile(pixels, [1, 5, 25, 50, 75, 95, 99])
    grain = np.diff(pixels[200:300].astype(float), axis=1)
    return np.concatenate([*edges, quantiles, [pixels.mean(), pixels.std(), grain.std(), np.abs(grain).mean()]])


def test_no_nuisance_figure_tells_the_class(sample: tuple[list[NDArray[np.uint8]], NDArray[np.int64]]) -> None:
    pictures, labels = sample
    figures = np.array([nuisance(picture) for picture in pictures])
    assert accuracy(figures, labels) < 0.45
    # The same test finds a leak of a few grey values, were there one
    leaking = np.array([nuisance(np.clip(picture * (1 + 0.12 * label), 0, 255).astype(np.uint8))
                        for picture, label in zip(pictures, labels, strict=True)])  # fmt: skip
    assert accuracy(leaking, labels) > 0.55


def test_logistic_regression_on_small_pictures_stays_low(
    sample: tuple[list[NDArray[np.uint8]], NDArray[np.int64]],
) -> None:
    pictures, labels = sample
    small = [
        np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.BOX)).ravel() for picture in pictures
    ]
    assert accuracy(np.array(small) / 255, labels) < 0.75


def test_film_and_anatomy_are_drawn_without_the_label() -> None:
    """The label enters through the lesion's stream alone, so markers, exposure and build are the same under each."""
    for seed in range(20):
        streams = [np.random.default_rng([seed, stream]) for stream in (ANATOMY, LESION, FILM)]
        assert len({rng.integers(2**62) for rng in streams}) == 3
        for label in LABELS:
            lesion(np.random.default_rng([seed, LESION]), label)
            assert film(np.random.default_rng([seed, FILM])) == film(np.random.default_rng([seed, FILM]))
