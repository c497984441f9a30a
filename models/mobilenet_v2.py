"""MobileNetV2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381), as in Keras applications.

The outputs are logits: the softmax, with its temperature, belongs to the release. Input: float32
(batch, 224, 224, channels), scaled as the card says; ImageNet's weights were trained on -1..1, RGB.
"""

import keras

from models.layers import lesion_head

INPUT_SIZE = 224
SALIENCY_LAYER = "block_12_add"
STRANGENESS_LAYERS = ("block_5_add", "block_12_add")
HEAD_LAYERS = ("logits",)


def build(
    classes: int,
    width: float = 1.0,
    channels: int = 3,
    size: int = INPUT_SIZE,
    lesion_map: int = 0,
    dropout: float = 0.2,
) -> keras.Model:
    """Build the network.

    Parameters
    ----------
    classes
        Length of the output, logits (batch, classes).
    width
        The paper's width multiplier, alpha.
    channels, size
        Of the square input.
    lesion_map
        Add, for training, that many maps at block 12, logits (batch, size / 16, size / 16, lesion_map), output
        `lesion_map`.

    With a training head the model's output is a dict by name, the logits under `logits`.
    """
    inputs = keras.Input((size, size, channels), name="picture")

    # Blocks 0 to 16 and the last 1x1 convolution, 7x7x1280
    base = keras.applications.MobileNetV2(alpha=width, include_top=False, weights=None, input_tensor=inputs)

    # Head
    x = keras.layers.GlobalAveragePooling2D(name="pool")(base.output)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(x)

    if not lesion_map:
        return keras.Model(inputs, logits, name="mobilenet_v2")
    heads = {"logits": logits, "lesion_map": lesion_head(base.get_layer(SALIENCY_LAYER).output, lesion_map)}
    return keras.Model(inputs, heads, name="mobilenet_v2")
