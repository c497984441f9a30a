"""The benchmark of the networks measures what it says, that of the saliency methods too."""

import keras
import numpy as np
import pytest

from models.networks import NETWORKS
from tests.bench import networks, saliency
from tests.bench.networks import Turn


@pytest.mark.parametrize(
    ("name", "products"), [("googlenet", 1.58e9), ("alexnet", 0.72e9), ("mobilenet_v2", 0.30e9)], ids=str
)
def test_operations_are_those_of_the_papers(name: str, products: float) -> None:
    """Of 1000 classes: 1.5 billion products (GoogLeNet), 0.72 (AlexNet, from its table), 300 million (MobileNetV2)."""
    assert networks.flops(NETWORKS[name].build(1000)) == pytest.approx(2 * products, rel=0.02)


def test_a_convolution_is_counted_by_hand() -> None:
    inputs = keras.Input((8, 6, 4))
    x = keras.layers.Conv2D(5, 3, padding="same")(inputs)
    x = keras.layers.DepthwiseConv2D(3, 2, padding="same")(x)
    network = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    assert networks.flops(network) == 2 * (48 * 9 * 4 * 5 + 12 * 9 * 5 + 60 * 2)


def test_every_runtime_gives_the_same_logits() -> None:
    keras.utils.set_random_seed(1)
    network = NETWORKS["googlenet"].build(3, width=0.1, size=64)
    batch = networks.pictures(network, 2)
    runs = networks.runtimes(network, "googlenet")
    expected = runs.pop("model.predict")(batch)
    np.testing.assert_allclose(runs.pop("tf.function")(batch), expected, atol=1e-4)
    for name, run in runs.items():
        np.testing.assert_allclose(run(batch)["logits"], expected, atol=1e-4 if "f32" in name else 0.1)
    (turn,) = networks.turns(runs, batch, count=1, side=64)
    assert set(turn.rates) == set(runs)
    assert min(turn.roofline, *turn.rates.values()) > 0
    split = networks.parts("googlenet", network, batch)
    assert sum(split.values()) == pytest.approx(1)
    assert "Convolution" in split


def test_the_share_is_the_median_of_each_turns_own() -> None:
    measured = [Turn(100.0, {"a": 50.0}), Turn(50.0, {"a": 40.0}), Turn(10.0, {"a": 1.0})]
    assert networks.shares(measured, 10**9) == {"a": 0.5}


def test_every_saliency_method_has_a_cost_in_forward_passes() -> None:
    keras.utils.set_random_seed(1)
    explainer = saliency.untrained(width=0.05, size=64)
    batch = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    found = saliency.costs(explainer, batch, turns=1)
    assert list(found) == explainer.methods
    assert min(min(pair) for pair in found.values()) > 0
    assert found["occlusion"][1] > found["hirescam"][1]
