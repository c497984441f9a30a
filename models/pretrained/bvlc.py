"""From the names and axes of Caffe's bvlc_alexnet and bvlc_googlenet to our own layers.

Caffe's kernels are (outputs, inputs, rows, columns), ours (rows, columns, inputs, outputs). Caffe flattens feature maps
as (channels, rows, columns), Keras as (rows, columns, channels), so that the first dense layer behind them has its
inputs in another order. The first of Caffe's two groups is the first half of the outputs. The input's channels stay in
Caffe's order, BGR, which the weights' `Input` says.
"""

import keras
import numpy as np
from numpy.typing import NDArray

from cspine.errors import Usage
from models.googlenet import INCEPTION

Blobs = dict[str, list[NDArray[np.float32]]]

ALEXNET = {
    "conv1": ("conv1",),
    "conv2": ("conv2_1", "conv2_2"),
    "conv3": ("conv3",),
    "conv4": ("conv4_1", "conv4_2"),
    "conv5": ("conv5_1", "conv5_2"),
    "fc6": ("fc6",),
    "fc7": ("fc7",),
    "fc8": ("logits",),
}
GOOGLENET = {
    "conv1/7x7_s2": ("conv1",),
    "conv2/3x3_reduce": ("conv2_reduce",),
    "conv2/3x3": ("conv2",),
    **{
        f"inception_{module}/{theirs}": (f"inception_{module}_{ours}",)
        for module in INCEPTION
        for theirs, ours in {
            "1x1": "1x1", "3x3_reduce": "3x3_reduce", "3x3": "3x3", "5x5_reduce": "5x5_reduce", "5x5": "5x5",
            "pool_proj": "pool_projection",
        }.items()
    },
    "loss3/classifier": ("logits",),
}  # fmt: skip
AUXILIARY = {  # left out of files that were made for service
    f"loss{head}/{theirs}": (f"auxiliary_{head}{ours}",)
    for head in (1, 2)
    for theirs, ours in {"conv": "_conv", "fc": "_dense", "classifier": ""}.items()
}
NAMES = {"alexnet": ALEXNET, "googlenet": {**GOOGLENET, **AUXILIARY}}


def converted(model: keras.Model, blobs: Blobs, source: str) -> Blobs:
    """Return our layers' weights by name, in Keras' order of axes.

    `model` is the network they are for, with all its heads; `source` names the file in errors. Raises `Usage` where a
    layer lacks, is unknown or has another shape; GoogLeNet's auxiliary heads may lack.
    """
    names = NAMES[model.name]
    if unknown := sorted(set(blobs) - set(names)):
        raise Usage(f"{source} has layers that {model.name} has not: {', '.join(unknown[:5])}")
    if missing := [name for name in names if name not in blobs and name not in AUXILIARY]:
        raise Usage(f"{source} lacks layers of {model.name}: {', '.join(missing[:5])}")
    found: Blobs = {}
    for name, arrays in blobs.items():
        if len(arrays) != 2:
            raise Usage(f"{name} of {source} has {len(arrays)} arrays, not a kernel and a bias")
        kernel, bias = arrays[0], arrays[1].reshape(-1)
        ours = names[name]
        for part, layer in enumerate(ours):
            rows = slice(part * len(bias) // len(ours), (part + 1) * len(bias) // len(ours))
            found[layer] = _layer(model, layer, kernel, bias, rows, f"{name} of {source}")
    return found


def _layer(
    model: keras.Model, name: str, kernel: NDArray[np.float32], bias: NDArray[np.float32], rows: slice, where: str
) -> list[NDArray[np.float32]]:
    """Return kernel and bias of one of our layers; `rows` are its outputs among those of Caffe's layer."""
    layer = model.get_layer(name)
    if isinstance(layer, keras.layers.Dense):
        dense = kernel.reshape(kernel.shape[-2:])[rows] if kernel.ndim >= 2 and kernel.size else kernel
        weights = [_dense(dense, layer), bias[rows]]
    else:
        weights = [kernel[rows].transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel, bias[rows]]
    for given, wanted in zip(weights, layer.weights, strict=True):
        if given.shape != tuple(wanted.shape):
            raise Usage(f"{where} has the shape {kernel.shape}, which does not fit {name} of {model.name}")
        if not np.isfinite(given).all():
            raise Usage(f"{where} holds what is not a number")
    return [np.ascontiguousarray(array, np.float32) for array in weights]


def _dense(kernel: NDArray[np.float32], layer: keras.layers.Dense) -> NDArray[np.float32]:
    """Turn (outputs, inputs) into (inputs, outputs), with the inputs as Keras flattens them."""
    below = layer.input._keras_history.operation
    if not isinstance(below, keras.layers.Flatten) or kernel.shape[-1] != layer.input.shape[1]:
        return kernel.T
    rows, columns, channels = below.input.shape[1:]
    return kernel.reshape(-1, channels, rows, columns).transpose(2, 3, 1, 0).reshape(-1, len(kernel))
