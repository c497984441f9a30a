"""AlexNet (Krizhevsky et al. 2012, https://papers.nips.cc/paper/4824), as in Caffe's bvlc_alexnet.

Two towers that meet at conv3 and in the dense layers; local response normalisation after the ReLU and before the
pooling. The outputs are logits: the softmax, with its temperature, belongs to the release. Input: float32
(batch, 227, 227, channels), scaled as the card says; the paper's is 0..255 minus the mean.
"""

import keras

from cspine.errors import Usage
from models.layers import lesion_head
from models.lrn import LRN

INPUT_SIZE = 227
SMALLEST = 67  # leaves one pixel at pool5
SALIENCY_LAYER = "conv5"
STRANGENESS_LAYERS = ("conv3", "conv5")
HEAD_LAYERS = ("logits",)


def build(
    classes: int,
    width: float = 1.0,
    channels: int = 3,
    size: int = INPUT_SIZE,
    grouped: bool = True,
    lesion_map: int = 0,
    dropout: float = 0.5,
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
    grouped
        Keep the paper's two towers in conv2, conv4 and conv5; otherwise each channel sees all others.
    lesion_map
        Add, for training, that many maps at conv5, logits (batch, 13, 13, lesion_map), output `lesion_map`.

    With a training head the model's output is a dict by name, the logits under `logits`.
    """
    if size < SMALLEST:
        raise Usage(f"alexnet takes pictures of {SMALLEST} pixels and more, not {size}")
    block = _Blocks(width, towers=2 if grouped else 1)
    inputs = keras.Input((size, size, channels), name="picture")

    # Block 1: no padding, 227 -> 55 -> 27
    x = block.conv(inputs, 96, 11, "conv1", strides=4, padding="valid")
    x = LRN(name="norm1")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="pool1")(x)

    # Block 2: 27 -> 13
    x = block.towers(x, 256, 5, "conv2")
    x = LRN(name="norm2")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="pool2")(x)

    # Blocks 3 to 5: 13 -> 6
    x = block.conv(x, 384, 3, "conv3")
    x = block.towers(x, 384, 3, "conv4")
    x = conv5 = block.towers(x, 256, 3, "conv5")
    x = keras.layers.MaxPooling2D(3, 2, name="pool5")(x)

    # Blocks 6 to 8
    x = keras.layers.Flatten(name="flatten")(x)
    x = block.dense(x, 4096, "fc6")
    x = keras.layers.Dropout(dropout, name="dropout6")(x)
    x = block.dense(x, 4096, "fc7")
    x = keras.layers.Dropout(dropout, name="dropout7")(x)
    logits = keras.layers.Dense(classes, kernel_initializer=_gaussian(0.01), dtype="float32", name="logits")(x)

    if not lesion_map:
        return keras.Model(inputs, logits, name="alexnet")
    return keras.Model(inputs, {"logits": logits, "lesion_map": lesion_head(conv5, lesion_map)}, name="alexnet")


class _Blocks:
    """The repeated parts of the network at one width, begun as bvlc_alexnet begins them.

    Kernels are drawn from a Gaussian of deviation 0.01 (fc6 and fc7: 0.005). Biases are 0 in conv1, conv3 and the
    logits and 0.1 elsewhere, where the paper has 1.
    """

    def __init__(self, width: float, towers: int) -> None:
        self.width, self.count = width, towers

    def conv(self, x, filters: int, kernel: int, name: str, strides: int = 1, padding: str = "same", bias: float = 0):
        """Return a convolution with ReLU over all channels."""
        return keras.layers.Conv2D(
            self.count * max(1, round(filters * self.width / self.count)), kernel, strides, padding, activation="relu",
            kernel_initializer=_gaussian(0.01), bias_initializer=keras.initializers.Constant(bias), name=name,
        )(x)  # fmt: skip

    def towers(self, x, filters: int, kernel: int, name: str):
        """Return a convolution in which each half of the channels sees the same half of the input.

        Two layers and not `groups=2`, whose gradient takes six times as long on a CPU (docs/decisions/021).
        """
        if self.count == 1:
            return self.conv(x, filters, kernel, name, bias=0.1)
        half = x.shape[-1] // 2
        filters = max(1, round(filters * self.width / 2))
        towers = [
            keras.layers.Conv2D(
                filters, kernel, padding="same", activation="relu", kernel_initializer=_gaussian(0.01),
                bias_initializer=keras.initializers.Constant(0.1), name=f"{name}_{tower}",
            )(part)
            for tower, part in ((1, x[..., :half]), (2, x[..., half:]))
        ]  # fmt: skip
        return keras.layers.Concatenate(name=name)(towers)

    def dense(self, x, units: int, name: str):
        """Return a dense layer with ReLU."""
        return keras.layers.Dense(
            max(1, round(units * self.width)), activation="relu", kernel_initializer=_gaussian(0.005),
            bias_initializer=keras.initializers.Constant(0.1), name=name,
        )(x)  # fmt: skip


def _gaussian(deviation: float) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=deviation)
