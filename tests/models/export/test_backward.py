"""The gradient written as forward operations is TensorFlow's own: layer kind by layer kind, network by network."""

from collections.abc import Callable

import keras
import numpy as np
import openvino
import pytest
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from models.export import backward, walk
from models.export.make import converted
from models.export.walk import Unsupported
from models.lrn import LRN
from models.networks import NETWORKS
from models.saliency import hirescam

CLASSES = 3
SMALL = {"alexnet": (0.25, 67), "googlenet": (0.25, 64), "inception_v3": (1.0, 75), "mobilenet_v2": (0.35, 64)}
LAYERS: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    "max pooling, overlapping, even": lambda x: layers.MaxPooling2D(3, 2, padding="same")(x),
    "max pooling, overlapping, odd": lambda x: layers.MaxPooling2D(3, 2)(layers.Conv2D(4, 2)(x)),
    "max pooling, stride 1": lambda x: layers.MaxPooling2D(3, 1, padding="same")(x),
    "max pooling, a rest is left over": lambda x: layers.MaxPooling2D(2, 3)(x),
    "average pooling": lambda x: layers.AveragePooling2D(3, 1, padding="same")(x),
    "average pooling, stride 2": lambda x: layers.AveragePooling2D(3, 2, padding="same")(x),
    "convolution": lambda x: layers.Conv2D(5, 3, padding="same", activation="relu")(x),
    "convolution, strided": lambda x: layers.Conv2D(5, (5, 3), (2, 3), padding="same", activation="relu")(x),
    "convolution, strided, valid": lambda x: layers.Conv2D(5, 3, 2, activation="relu6")(x),
    "convolution in groups": lambda x: layers.Conv2D(8, 3, groups=2, padding="same")(x),
    "depthwise, strided": lambda x: layers.DepthwiseConv2D(3, 2)(layers.ZeroPadding2D(((0, 1), (1, 0)))(x)),
    "normalisation": lambda x: layers.ReLU(6.0)(layers.BatchNormalization()(x)),
    "sum": lambda x: layers.Add()([x, layers.Conv2D(4, 1)(x)]),
}
Maps = Callable[[NDArray[np.float32]], tuple[NDArray, NDArray]]


def compiled(answer: Callable[[tf.Tensor], dict[str, tf.Tensor]], shape: tuple[int | None, ...]):
    """Compile a function for OpenVINO, by which alone the order of channels that is used here is run everywhere."""
    traced = tf.function(answer, input_signature=[tf.TensorSpec(shape, tf.float32, "x")], autograph=False)
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(converted(traced.get_concrete_function()), "CPU", options)


def both(split: keras.KerasTensor, logits: keras.KerasTensor) -> Maps:
    """Return a function that gives the explained map by OpenVINO and by GradientTape, of values x at the split."""
    calls = walk.steps([logits], [split])

    def answer(value: tf.Tensor) -> dict[str, tf.Tensor]:
        values = walk.run(calls, {id(split): value})
        seed = tf.one_hot(tf.range(tf.shape(value)[0]) % CLASSES, CLASSES)
        return {"map": backward.explained_map(calls, values, split, seed)}

    ours, above = compiled(answer, split.shape), keras.Model(split, logits)

    def maps(x: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
        label = np.arange(len(x), dtype=np.int32) % CLASSES
        theirs = hirescam.explain(lambda value: above(value, training=False), tf.constant(x), tf.constant(label))
        return ours(x)["map"], theirs.numpy()

    return maps


def close(ours: NDArray, theirs: NDArray) -> None:
    assert np.abs(theirs).max() > 0
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


@pytest.fixture(scope="module", params=[*LAYERS, "behind another"])
def piece(request: pytest.FixtureRequest) -> Maps:
    """Give both maps by one kind of layer between split and logits; `behind another`: a pooling of no split's value."""
    keras.utils.set_random_seed(3)
    split = keras.Input((8, 8, 4))
    if request.param == "behind another":
        x = LAYERS["max pooling, overlapping, even"](LAYERS["convolution"](split))
    else:
        x = LAYERS[request.param](split)
    x = layers.Concatenate()([x, x])
    logits = layers.Dense(CLASSES)(layers.Dropout(0.5)(layers.Dense(6, activation="relu")(layers.Flatten()(x))))
    return both(split, logits)


@pytest.mark.parametrize("kind", ["noise", "ties", "constant"])
def test_each_kind_of_layer(piece: Maps, kind: str) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(3, 8, 8, 4)).astype(np.float32)
    x = {"noise": x, "ties": np.round(x), "constant": np.full_like(x, 0.7)}[kind]
    close(*piece(x))


@pytest.mark.parametrize("side", [2, 3, 4])
def test_an_average_over_a_map_as_small_as_its_windows(side: int) -> None:
    """OpenVINO takes a constant of the kernel's size before a depthwise convolution for a part of the kernel."""
    keras.utils.set_random_seed(3)
    split = keras.Input((side, side, 4))
    x = layers.ReLU()(layers.AveragePooling2D(3, 1, padding="same")(split))
    logits = layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))
    close(*both(split, logits)(np.random.default_rng(0).normal(size=(3, side, side, 4)).astype(np.float32)))


@pytest.mark.parametrize("name", SMALL)
def test_each_network(name: str) -> None:
    keras.utils.set_random_seed(4)
    width, size = SMALL[name]
    network = NETWORKS[name].build(CLASSES, width=width, channels=1, size=size)
    split = network.get_layer(NETWORKS[name].SALIENCY_LAYER).output
    shape = (3, *split.shape[1:])
    x = np.maximum(np.random.default_rng(0).normal(size=shape), 0).astype(np.float32)
    close(*both(split, network.outputs[0])(x))


def test_a_layer_without_a_rule_is_said() -> None:
    split = keras.Input((8, 8, 4))
    logits = layers.Dense(CLASSES)(layers.GlobalMaxPooling2D(name="odd")(split))
    with pytest.raises(Unsupported, match="odd is a GlobalMaxPooling2D"):
        backward.supported(walk.steps([logits], [split]))


def test_an_activation_without_a_rule_is_said() -> None:
    split = keras.Input((8, 8, 4))
    logits = layers.Dense(CLASSES)(layers.Flatten()(layers.Conv2D(2, 1, activation="gelu", name="odd")(split)))
    calls = walk.steps([logits], [split])
    with pytest.raises(Unsupported, match="odd has the activation gelu"):
        backward.supported(calls)


def test_what_does_not_pass_the_explained_layer_is_said() -> None:
    inputs = keras.Input((8, 8, 4))
    split = layers.ReLU()(inputs)
    logits = layers.Dense(CLASSES)(layers.Flatten()(layers.Add()([split, layers.Conv2D(4, 1)(inputs)])))
    with pytest.raises(Unsupported, match="does not follow"):
        walk.steps([logits], [split])


def test_local_response_normalisation_is_that_of_the_layer() -> None:
    """Of any constants, as those of the paper, and not only of the defaults."""
    split = keras.Input((5, 5, 8))
    output = LRN(size=3, alpha=0.5, beta=0.6, k=2.0)(split)
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 8)).astype(np.float32)
    found = walk.run(walk.steps([output], [split]), {id(split): tf.constant(x)})[id(output)]
    np.testing.assert_allclose(found, keras.Model(split, output)(x), rtol=1e-5)
