"""AlexNet against bvlc_alexnet: counts, shapes, padding, order, towers, how it begins."""

import keras
import numpy as np
import pytest

from cspine.errors import Usage
from models import alexnet

SHAPES = {
    "conv1": (55, 55, 96),
    "norm1": (55, 55, 96),
    "pool1": (27, 27, 96),
    "conv2": (27, 27, 256),
    "norm2": (27, 27, 256),
    "pool2": (13, 13, 256),
    "conv3": (13, 13, 384),
    "conv4": (13, 13, 384),
    "conv5": (13, 13, 256),
    "pool5": (6, 6, 256),
    "flatten": (9216,),
    "fc6": (4096,),
    "fc7": (4096,),
    "logits": (1000,),
}
PARAMETERS = {  # of a layer with its two towers
    "conv1": 34_944, "conv2": 307_456, "conv3": 885_120, "conv4": 663_936, "conv5": 442_624,
    "fc6": 37_752_832, "fc7": 16_781_312, "logits": 4_097_000,
}  # fmt: skip
SMALL = {"width": 0.05, "size": 67, "channels": 1}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return alexnet.build(1000)


@pytest.fixture(scope="module")
def small() -> keras.Model:
    return alexnet.build(2, **SMALL)


def test_parameters_are_bvlcs(network: keras.Model) -> None:
    assert network.count_params() == 60_965_224
    for name, count in PARAMETERS.items():
        assert sum(layer.count_params() for layer in network.layers if layer.name.startswith(name)) == count, name


def test_feature_maps_are_the_papers(network: keras.Model) -> None:
    for name, shape in SHAPES.items():
        assert network.get_layer(name).output.shape[1:] == shape, name


def test_with_other_labels_and_with_a_single_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts need no Gaussian, of which 230 million values would be drawn."""
    monkeypatch.setattr(alexnet, "_gaussian", lambda deviation: "zeros")
    assert alexnet.build(3).count_params() == 56_880_515
    assert alexnet.build(2).count_params() == 56_876_418
    assert alexnet.build(1000, grouped=False).count_params() == 62_378_344
    assert alexnet.build(3, grouped=False).count_params() == 58_293_635


def test_conv1_is_not_padded() -> None:
    """On 227 it gives 55 columns, "same" would give 57, and every window lies wholly inside the picture."""
    network = alexnet.build(2, width=0.02, channels=1)
    conv = network.get_layer("conv1")
    conv.set_weights([np.ones_like(conv.get_weights()[0]), np.zeros_like(conv.get_weights()[1])])
    found = keras.Model(network.inputs[0], conv.output)(np.ones((1, 227, 227, 1), np.float32)).numpy()
    assert found.shape[1:3] == (55, 55)
    np.testing.assert_array_equal(found, 121)


def test_normalisation_stands_between_relu_and_pooling(small: keras.Model) -> None:
    for block in "12":
        normed = small.get_layer(f"norm{block}")
        assert normed.input is small.get_layer(f"conv{block}").output
        assert small.get_layer(f"pool{block}").input is normed.output
        assert (normed.size, normed.alpha, normed.beta) == (5, 1e-4, 0.75)
    assert small.get_layer("conv1").activation is keras.activations.relu


@pytest.mark.parametrize("name", ["conv2", "conv4", "conv5"])
def test_a_tower_sees_its_own_half_only(name: str) -> None:
    """What Keras computes with groups=2 and the towers' kernels side by side is what the towers give."""
    network = alexnet.build(2, **SMALL)
    first, second = (network.get_layer(f"{name}_{tower}") for tower in (1, 2))
    below = {"conv2": "pool1", "conv4": "conv3", "conv5": "conv4"}[name]
    above = keras.Model(network.get_layer(below).output, network.get_layer(name).output)
    x = np.random.default_rng(0).normal(size=(2, *network.get_layer(below).output.shape[1:])).astype(np.float32)
    kernel, bias = (np.concatenate(pair, -1) for pair in zip(first.get_weights(), second.get_weights(), strict=True))
    grouped = keras.layers.Conv2D(bias.size, kernel.shape[0], padding="same", groups=2, activation="relu")
    grouped.build(x.shape)
    grouped.set_weights([kernel, bias])
    np.testing.assert_allclose(above(x), grouped(x), rtol=1e-4, atol=1e-6)


def test_it_begins_as_bvlcs(network: keras.Model) -> None:
    for layer in network.layers:
        if not layer.weights:
            continue
        kernel, bias = layer.get_weights()
        name = layer.name.split("_")[0]
        deviation = 0.005 if name in {"fc6", "fc7"} else 0.01
        assert kernel.std() == pytest.approx(deviation, rel=0.02), layer.name
        assert abs(kernel.mean()) < deviation / 30, layer.name
        np.testing.assert_array_equal(bias, np.float32(0 if name in {"conv1", "conv3", "logits"} else 0.1))
    assert [network.get_layer(f"dropout{i}").rate for i in (6, 7)] == [0.5, 0.5]


def test_lesion_map_is_a_training_head_on_conv5(small: keras.Model) -> None:
    network = alexnet.build(2, width=0.05, channels=1, lesion_map=2)
    assert network.output["lesion_map"].shape == (None, 13, 13, 2)
    assert {layer.name for layer in network.layers if layer.weights} == {
        layer.name for layer in small.layers if layer.weights
    } | {"lesion_map"}


def test_a_picture_too_small_is_refused_in_words() -> None:
    with pytest.raises(Usage, match="67 pixels"):
        alexnet.build(2, size=64)
