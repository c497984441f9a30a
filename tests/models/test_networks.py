"""What holds for every network: its constants name layers of it, and it comes back from a file without a Lambda."""

import re
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from cspine.errors import Usage
from models import inception_v3, mobilenet_v2
from models.networks import NETWORKS

SMALL = {  # options, the grid of the default map
    "alexnet": ({"width": 0.05, "size": 99, "channels": 1}, 5),
    "googlenet": ({"width": 0.05, "size": 64, "channels": 1}, 4),
    "inception_v3": ({"size": 75, "channels": 3}, 3),
    "mobilenet_v2": ({"width": 0.35, "size": 64, "channels": 3}, 4),
}


@cache
def small(name: str) -> keras.Model:
    """Build a small network once; nobody changes it."""
    return NETWORKS[name].build(3, **SMALL[name][0])


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> keras.Model:
    return small(request.param)


@pytest.fixture(scope="module")
def inception() -> keras.Model:
    """Build InceptionV3 in full, with the head that only training has, after others have counted layers on."""
    keras.layers.Conv2D(1, 1)
    return inception_v3.build(3, lesion_map=2)


def test_constants_name_its_layers(network: keras.Model) -> None:
    module = NETWORKS[network.name]
    grid = SMALL[network.name][1]
    assert network.get_layer(module.SALIENCY_LAYER).output.shape[1:3] == (grid, grid)
    for name in module.STRANGENESS_LAYERS:
        assert len(network.get_layer(name).output.shape) == 4
    trained = {layer.name for layer in network.layers if layer.weights}
    assert set(module.HEAD_LAYERS) & trained == set(module.HEAD_LAYERS) - {"auxiliary_1", "auxiliary_2"}
    assert network.outputs[0].shape == (None, 3)
    assert network.get_layer("logits").activation is keras.activations.linear


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "mobilenet_v2"])
def test_only_the_head_depends_on_the_labels(name: str) -> None:
    module = NETWORKS[name]
    network = small(name)
    other = module.build(2, **SMALL[name][0])
    for layer in network.layers:
        if layer.weights and layer.name not in module.HEAD_LAYERS:
            assert [w.shape for w in layer.weights] == [w.shape for w in other.get_layer(layer.name).weights]


def test_it_comes_back_from_its_file(network: keras.Model, tmp_path: Path) -> None:
    network.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    x = np.random.default_rng(0).normal(size=(2, *network.inputs[0].shape[1:])).astype(np.float32)
    np.testing.assert_allclose(again(x), network(x), rtol=1e-5, atol=1e-6)


def test_inception_v3(inception: keras.Model) -> None:
    """The counts are those of Keras applications without a top, and the heads' by hand."""
    network = inception
    head = 2048 * 1024 + 1024 + 1024 * 512 + 512 + 512 * 3 + 3
    lesions = 768 * 2 + 2
    assert network.count_params() == 21_802_784 + head + lesions
    assert network.output["logits"].shape == (None, 3) and network.output["lesion_map"].shape == (None, 12, 12, 2)
    shapes = {"mixed0": (25, 25, 256), "mixed2": (25, 25, 288), "mixed3": (12, 12, 768), "mixed7": (12, 12, 768),
              "mixed8": (5, 5, 1280), "mixed10": (5, 5, 2048), "pool": (2048,)}  # fmt: skip
    for name, shape in shapes.items():
        assert network.get_layer(name).output.shape[1:] == shape, name
    dense_1, dense_2 = network.get_layer("dense_1"), network.get_layer("dense_2")
    assert (dense_1.units, dense_1.activation) == (1024, keras.activations.relu)
    assert (dense_2.units, dense_2.activation) == (512, keras.activations.linear)
    assert network.get_layer("dropout").rate == 0.4


def test_inception_v3_names_its_layers_alike_every_time(inception: keras.Model) -> None:
    names = [layer.name for layer in inception.layers]
    for kind, count in {"conv2d": 94, "batch_normalization": 94, "max_pooling2d": 4, "concatenate": 2}.items():
        expected = {kind} | {f"{kind}_{i}" for i in range(1, count)}
        assert {name for name in names if re.fullmatch(rf"{kind}(_\d+)?", name)} == expected


def test_layers_are_numbered_from_zero() -> None:
    assert inception_v3.numbered_from_zero(["conv2d_9", "mixed0", "conv2d_10", "activation_94", "conv2d_11"]) == {
        "conv2d_9": "conv2d", "mixed0": "mixed0", "conv2d_10": "conv2d_1", "activation_94": "activation",
        "conv2d_11": "conv2d_2",
    }  # fmt: skip


@pytest.mark.parametrize(("options", "words"), [({"width": 0.5}, "width 1"), ({"size": 64}, "75 pixels")])
def test_inception_v3_refuses_in_words(options: dict[str, float], words: str) -> None:
    with pytest.raises(Usage, match=words):
        inception_v3.build(2, **options)


def test_mobilenet_v2() -> None:
    network = mobilenet_v2.build(3)
    assert network.count_params() == 2_257_984 + 1280 * 3 + 3
    shapes = {"block_2_add": (56, 56, 24), "block_5_add": (28, 28, 32), "block_12_add": (14, 14, 96),
              "block_15_add": (7, 7, 160), "out_relu": (7, 7, 1280), "pool": (1280,)}  # fmt: skip
    for name, shape in shapes.items():
        assert network.get_layer(name).output.shape[1:] == shape, name
    assert mobilenet_v2.build(2, width=0.35, lesion_map=2).output["lesion_map"].shape == (None, 14, 14, 2)
