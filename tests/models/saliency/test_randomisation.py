"""Cascading randomisation: a map of the network fails with it, a map that ignores it is found out."""

import keras
import numpy as np
import pytest

from models import googlenet
from models.saliency import METHODS, pointing, randomisation
from models.saliency.explainer import Explainer
from models.saliency.randomisation import PAIRS, Cascade, Scrambled, Stage, cascade, pairs_ssim
from models.saliency.similarity import shown, ssim

SIZE = 48


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(2)
    return googlenet.build(3, width=0.05, channels=1, size=SIZE)


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, SIZE, SIZE, 1)).astype(np.float32)


LABELS = np.array([0, 1, 2, 0], np.int32)


def test_the_weights_are_drawn_anew_from_the_logits_down(network: keras.Model, batch: np.ndarray) -> None:
    before = [array.copy() for array in network.get_weights()]
    trained, scrambled = Explainer("googlenet", network), Scrambled("googlenet", network)
    found = cascade(trained, scrambled, "gradient", batch, LABELS, points=5)
    assert len(found.stages) == 5
    assert found.stages[-1].layer == "conv1"
    assert found.stages[0].layer.startswith(("inception_5", "inception_4e"))
    assert found.stages[-1].spearman < 0.9
    for array, kept in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, kept)
    assert cascade(trained, scrambled, "gradient", batch, LABELS, points=5) == found, "it begins anew"


def test_a_map_that_ignores_the_network_fails(
    network: keras.Model, batch: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edge detector, as guided backpropagation is said to be."""
    monkeypatch.setitem(METHODS, "gradient", lambda model_fn, x, label: np.stack([pointing.edge(p) for p in x.numpy()]))
    trained, scrambled = Explainer("googlenet", network), Scrambled("googlenet", network)
    found = cascade(trained, scrambled, "gradient", batch, LABELS, points=2)
    assert not found.passed
    assert found.stages[-1].ssim == pytest.approx(1)
    assert found.stages[-1].spearman == pytest.approx(1)


def test_the_pass_rule() -> None:
    def cascaded(last: float) -> Cascade:
        return Cascade((Stage("logits", 0.9, 0, 0), Stage("conv1", last, 0, 0)), pairs_ssim=0.5)

    assert cascaded(0.49).passed
    assert not cascaded(0.5).passed


def test_fifty_random_pairs_of_different_pictures(batch: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = batch[..., 0]
    seen = []
    monkeypatch.setattr(randomisation, "ssim", lambda a, b: seen.append(ssim(a, b)) or seen[-1])
    assert pairs_ssim(maps) == pytest.approx(np.mean(seen))
    assert len(seen) == PAIRS
    assert max(seen) < ssim(shown(maps[0]), shown(maps[0]))
