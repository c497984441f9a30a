"""InceptionV3 (Szegedy et al. 2015, https://arxiv.org/abs/1512.00567) with the head of the original project.

The blocks are those of Keras applications; the original project put its head on them and trained nothing else. The
outputs are logits: the softmax, with its temperature, belongs to the release. Input: float32 (batch, 224, 224,
channels), scaled as the card says; ImageNet's weights were trained on -1..1, RGB, the original project's head on 0..1.
"""

import re

import keras

from cspine.errors import Usage
from models.layers import lesion_head

INPUT_SIZE = 224
SMALLEST = 75
SALIENCY_LAYER = "mixed7"
STRANGENESS_LAYERS = ("mixed2", "mixed7")
HEAD_LAYERS = ("dense_1", "dense_2", "logits")
NUMBERED = re.compile(r"(conv2d|batch_normalization|activation|max_pooling2d|average_pooling2d|concatenate)(?:_(\d+))?")


def build(
    classes: int,
    width: float = 1.0,
    channels: int = 3,
    size: int = INPUT_SIZE,
    lesion_map: int = 0,
    dropout: float = 0.4,
    second: str = "linear",
) -> keras.Model:
    """Build the network.

    Parameters
    ----------
    classes
        Length of the output, logits (batch, classes).
    width
        Only 1: the blocks of Keras applications have no other.
    channels, size
        Of the square input.
    lesion_map
        Add, for training, that many maps at mixed7, logits (batch, 12, 12, lesion_map), output `lesion_map`.
    second
        Activation of the head's second layer; files of the original project say which one theirs has.

    With a training head the model's output is a dict by name, the logits under `logits`.
    """
    if width != 1:
        raise Usage(f"inception_v3 has the width 1 and no other, not {width:g}")
    if size < SMALLEST:
        raise Usage(f"inception_v3 takes pictures of {SMALLEST} pixels and more, not {size}")

    # Blocks mixed0 to mixed10, 5x5x2048
    base = _blocks(size, channels)

    # Head
    x = keras.layers.GlobalAveragePooling2D(name="pool")(base.output)
    x = keras.layers.Dense(1024, activation="relu", name="dense_1")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = keras.layers.Dense(512, activation=second, name="dense_2")(x)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(x)

    if not lesion_map:
        return keras.Model(base.inputs[0], logits, name="inception_v3")
    heads = {"logits": logits, "lesion_map": lesion_head(base.get_layer(SALIENCY_LAYER).output, lesion_map)}
    return keras.Model(base.inputs[0], heads, name="inception_v3")


def _blocks(size: int, channels: int) -> keras.Model:
    """Return the blocks with the layers' names that a fresh process gives: Keras counts on from network to network."""
    inputs = keras.Input((size, size, channels), name="picture")
    base = keras.applications.InceptionV3(include_top=False, weights=None, input_tensor=inputs)
    names = numbered_from_zero([layer.name for layer in base.layers])

    def renamed(layer: keras.Layer) -> keras.Layer:
        return layer.__class__.from_config({**layer.get_config(), "name": names[layer.name]})

    return keras.models.clone_model(base, clone_function=renamed)


def numbered_from_zero(names: list[str]) -> dict[str, str]:
    """Return for each layer's name, in the order they were made, the one that it has in a fresh process.

    The first of a kind has no number, the next one 1. Other names stay as they are.
    """
    found = {name: match for name in names if (match := NUMBERED.fullmatch(name))}
    renamed = {name: name for name in names}
    kinds: dict[str, list[tuple[int, str]]] = {}
    for name, match in found.items():
        kinds.setdefault(match[1], []).append((int(match[2] or 0), name))
    for kind, made in kinds.items():
        for number, (_, name) in enumerate(sorted(made)):
            renamed[name] = f"{kind}_{number}" if number else kind
    return renamed
