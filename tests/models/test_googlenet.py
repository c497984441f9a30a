"""GoogLeNet against the paper's table: counts, shapes, padding."""

import keras
import numpy as np
import pytest

from models import googlenet

SHAPES = {
    "conv1": (112, 112, 64),
    "pool1": (56, 56, 64),
    "norm1": (56, 56, 64),
    "conv2": (56, 56, 192),
    "pool2": (28, 28, 192),
    "inception_3a": (28, 28, 256),
    "inception_3b": (28, 28, 480),
    "pool3": (14, 14, 480),
    "inception_4a": (14, 14, 512),
    "inception_4b": (14, 14, 512),
    "inception_4c": (14, 14, 512),
    "inception_4d": (14, 14, 528),
    "inception_4e": (14, 14, 832),
    "pool4": (7, 7, 832),
    "inception_5a": (7, 7, 832),
    "inception_5b": (7, 7, 1024),
    "pool5": (1024,),
    "logits": (1000,),
}
PARAMETERS = {  # of a module: all layers whose names begin so
    "conv1": 9_472, "conv2": 114_944, "inception_3a": 163_696, "inception_3b": 388_736, "inception_4a": 376_176,
    "inception_4b": 449_160, "inception_4c": 510_104, "inception_4d": 605_376, "inception_4e": 868_352,
    "inception_5a": 1_043_456, "inception_5b": 1_444_080, "logits": 1_025_000,
}  # fmt: skip


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return googlenet.build(1000)


def test_parameters_are_the_papers(network: keras.Model) -> None:
    assert network.count_params() == 6_998_552
    for name, count in PARAMETERS.items():
        assert sum(layer.count_params() for layer in network.layers if layer.name.startswith(name)) == count, name


def test_feature_maps_are_the_papers(network: keras.Model) -> None:
    for name, shape in SHAPES.items():
        assert network.get_layer(name).output.shape[1:] == shape, name


def test_auxiliary_classifiers() -> None:
    network = googlenet.build(1000, auxiliary=True)
    assert network.count_params() == 13_378_280
    assert network.get_layer("auxiliary_1_pool").output.shape[1:] == (4, 4, 512)
    assert set(network.output) == {"logits", "auxiliary_1", "auxiliary_2"}
    for name, count in {"auxiliary_1": 3_188_840, "auxiliary_2": 3_190_888}.items():
        assert sum(layer.count_params() for layer in network.layers if layer.name.startswith(name)) == count
        assert network.get_layer(f"{name}_dropout").rate == 0.7
    assert googlenet.LOSS_WEIGHTS == {"auxiliary_1": 0.3, "auxiliary_2": 0.3, "logits": 1.0}
    assert googlenet.build(3, auxiliary=True).count_params() == 10_312_505


def test_width_and_classes() -> None:
    assert googlenet.build(3).count_params() == 5_976_627
    assert googlenet.build(2).count_params() == 5_975_602
    assert googlenet.build(3, width=0.5, channels=1).count_params() == 1_495_963


def test_lesion_map_is_a_training_head_on_4e() -> None:
    network = googlenet.build(3, width=0.125, channels=1, lesion_map=2)
    assert network.output["lesion_map"].shape == (None, 14, 14, 2)
    plain = googlenet.build(3, width=0.125, channels=1)
    assert {layer.name for layer in network.layers} - {layer.name for layer in plain.layers} == {"lesion_map"}


def test_conv1_is_padded_by_three_on_both_sides() -> None:
    """The first output sees input 0..3, as with Caffe's padding; "same" would let it see 0..4."""
    network = googlenet.build(2, width=0.02, channels=1)
    conv = network.get_layer("conv1")
    conv.set_weights([np.ones_like(conv.get_weights()[0]), np.zeros_like(conv.get_weights()[1])])
    row = keras.Model(network.inputs[0], conv.output)(np.ones((1, 224, 224, 1), np.float32)).numpy()[0, 56, :, 0] / 7
    assert row[0] == 4
    assert row[1] == 6
    assert set(row[2:-1]) == {7}
    assert row[-1] == 5


def test_pooling_rounds_up_as_caffe_does() -> None:
    """Padding lies below and to the right: the first window begins at the first pixel, the last one is cut."""
    x = np.arange(36, dtype=np.float32).reshape(1, 6, 6, 1)
    pooled = keras.layers.MaxPooling2D(3, 2, padding="same")(x).numpy()[0, :, :, 0]
    np.testing.assert_array_equal(pooled, [[14, 16, 17], [26, 28, 29], [32, 34, 35]])
    pools = [
        layer for layer in googlenet.build(2, width=0.02).layers if layer.name in {"pool1", "pool2", "pool3", "pool4"}
    ]
    assert all((pool.padding, pool.pool_size, pool.strides) == ("same", (3, 3), (2, 2)) for pool in pools)
