"""GoogLeNet, Inception v1 (Szegedy et al. 2014, https://arxiv.org/abs/1409.4842), as in Caffe's bvlc_googlenet.

No batch normalisation; local response normalisation after conv1 and conv2. The outputs are logits: the softmax, with
its temperature, belongs to the release. Input: float32 (batch, 224, 224, channels), scaled as the card says.
"""

import keras

from models.layers import lesion_head
from models.lrn import LRN

SALIENCY_LAYER = "inception_4e"
STRANGENESS_LAYERS = ("inception_3b", "inception_4e")
INPUT_SIZE = 224
HEAD_LAYERS = ("logits", "auxiliary_1", "auxiliary_2")
LOSS_WEIGHTS = {"auxiliary_1": 0.3, "auxiliary_2": 0.3, "logits": 1.0}  # section 5 of the paper

# Table 1 of the paper: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def build(
    classes: int,
    width: float = 1.0,
    channels: int = 3,
    size: int = INPUT_SIZE,
    auxiliary: bool = False,
    lesion_map: int = 0,
    dropout: float = 0.4,
) -> keras.Model:
    """Build the network.

    Parameters
    ----------
    classes
        Length of the output, logits (batch, classes).
    width
        Factor of every layer's channels; 1 is the paper's network.
    channels, size
        Of the square input.
    auxiliary
        Add the paper's two classifiers on 4a and 4d, for training; outputs `auxiliary_1` and `auxiliary_2`, logits.
    lesion_map
        Add, for training, that many maps at 4e, logits (batch, size / 16, size / 16, lesion_map), output `lesion_map`.

    With training heads the model's output is a dict by name, the logits under `logits`.
    """
    block = _Blocks(width)
    inputs = keras.Input((size, size, channels), name="picture")

    # Block 1: Caffe pads 3 on both sides, which "same" does not
    x = keras.layers.ZeroPadding2D(3, name="pad1")(inputs)
    x = block.conv(x, 64, 7, "conv1", strides=2, padding="valid")
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = LRN(name="norm1")(x)

    # Block 2
    x = block.conv(x, 64, 1, "conv2_reduce")
    x = block.conv(x, 192, 3, "conv2")
    x = LRN(name="norm2")(x)
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="pool2")(x)

    # Block 3
    x = block.inception(x, "3a")
    x = block.inception(x, "3b")
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="pool3")(x)

    # Block 4
    x = inception_4a = block.inception(x, "4a")
    x = block.inception(x, "4b")
    x = block.inception(x, "4c")
    x = inception_4d = block.inception(x, "4d")
    x = inception_4e = block.inception(x, "4e")
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="pool4")(x)

    # Block 5
    x = block.inception(x, "5a")
    x = block.inception(x, "5b")
    x = keras.layers.GlobalAveragePooling2D(name="pool5")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(x)

    heads = {"logits": logits}
    if auxiliary:
        heads["auxiliary_1"] = block.auxiliary(inception_4a, classes, "auxiliary_1")
        heads["auxiliary_2"] = block.auxiliary(inception_4d, classes, "auxiliary_2")
    if lesion_map:
        heads["lesion_map"] = lesion_head(inception_4e, lesion_map)
    return keras.Model(inputs, heads if len(heads) > 1 else logits, name="googlenet")


class _Blocks:
    """The repeated parts of the network at one width."""

    def __init__(self, width: float) -> None:
        self.width = width

    def conv(self, x, filters: int, kernel: int, name: str, strides: int = 1, padding: str = "same"):
        """Return a convolution with bias and ReLU."""
        return keras.layers.Conv2D(
            max(1, round(filters * self.width)), kernel, strides, padding,
            activation="relu", kernel_initializer="he_normal", name=name,
        )(x)  # fmt: skip

    def inception(self, x, name: str):
        """Return an Inception module: four branches over the same input, joined by channel."""
        one, three_reduce, three, five_reduce, five, projection = INCEPTION[name]
        name = f"inception_{name}"
        branches = [
            self.conv(x, one, 1, f"{name}_1x1"),
            self.conv(self.conv(x, three_reduce, 1, f"{name}_3x3_reduce"), three, 3, f"{name}_3x3"),
            self.conv(self.conv(x, five_reduce, 1, f"{name}_5x5_reduce"), five, 5, f"{name}_5x5"),
            self.conv(
                keras.layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(x),
                projection, 1, f"{name}_pool_projection",
            ),
        ]  # fmt: skip
        return keras.layers.Concatenate(name=name)(branches)

    def auxiliary(self, x, classes: int, name: str):
        """Return a classifier on the middle of the network, which the paper drops after training."""
        x = keras.layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
        x = self.conv(x, 128, 1, f"{name}_conv")
        x = keras.layers.Flatten(name=f"{name}_flatten")(x)
        x = keras.layers.Dense(
            max(1, round(1024 * self.width)), activation="relu", kernel_initializer="he_normal", name=f"{name}_dense"
        )(x)
        x = keras.layers.Dropout(0.7, name=f"{name}_dropout")(x)
        return keras.layers.Dense(classes, dtype="float32", name=name)(x)
