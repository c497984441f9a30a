"""The `.hdf5` that the original program's notebook writes: InceptionV3 with its head, as Keras 2 saves a whole model.

Only names, shapes and arrays are read; nothing of the file is run. The softmax is left out, since a release's network
gives logits. The original program fed its network [0, 1] in training and [-1, 1] in service; the first is right, and
so is its picking of the nearest pixel (docs/decisions/023).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from cspine.card import Input, LabelWeight
from cspine.errors import Usage
from models import inception_v3
from models.pretrained.hdf5 import opened

LABELS = (  # in the order of the outputs: that of the folders' names
    LabelWeight(name="c-spine_dis", weight=1.0),
    LabelWeight(name="c-spine_frac", weight=0.8),
    LabelWeight(name="c-spine_nor", weight=0.0),
)
NORMAL = "c-spine_nor"
KNOWN = {"InputLayer", "Conv2D", "BatchNormalization", "Activation", "MaxPooling2D", "AveragePooling2D", "Concatenate",
         "GlobalAveragePooling2D", "Dense", "Dropout"}  # fmt: skip
ARRAYS = {"Conv2D": ("kernel",), "BatchNormalization": ("beta", "moving_mean", "moving_variance"),
          "Dense": ("kernel", "bias")}  # fmt: skip
NESTED = {"Functional", "Model", "Sequential"}
BLOCKS = {"Conv2D": 94, "BatchNormalization": 94, "Activation": 94, "MaxPooling2D": 4, "AveragePooling2D": 9,
          "Concatenate": 15}  # fmt: skip


def read(path: Path) -> tuple[keras.Model, Input]:
    """Return the network with its weights, and the input that it was trained on.

    Raises `Usage` where the file is not what the original program writes.
    """
    with opened(path) as file:
        try:
            config = json.loads(file.attrs["model_config"])
            layers = list(_layers(config))
            weights = dict(_weights(file["model_weights"]))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise Usage(f"{path.name} is no whole model as Keras 2 writes it") from error
    wanted = _input(layers, path.name)
    units, second = _head(layers, path.name)
    if lacking := [
        f"{array} of {name}"
        for kind, name, _ in layers
        for array in ARRAYS.get(kind, ())
        if (name, array) not in weights
    ]:
        raise Usage(f"{path.name} lacks {', '.join(lacking[:5])}")
    model = inception_v3.build(units, size=wanted.size, second=second)
    names = inception_v3.numbered_from_zero([name for _, name, _ in layers])
    dense = [name for kind, name, _ in layers if kind == "Dense"]
    names |= dict(zip(dense, inception_v3.HEAD_LAYERS, strict=True))
    theirs = {ours: name for name, ours in names.items()}
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([_array(weights, theirs, layer.name, variable, path.name) for variable in layer.weights])
    return model, wanted


def _layers(config: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield class, name and options of each layer, those of a network within the network in its place."""
    for layer in config["config"]["layers"]:
        if layer["class_name"] in NESTED:
            yield from _layers(layer)
        else:
            yield layer["class_name"], layer["config"]["name"], layer["config"]


def _weights(groups: h5py.Group) -> Iterator[tuple[tuple[str, str], NDArray[np.float32]]]:
    """Yield each array by the names of its layer and of itself, such as ("conv2d", "kernel")."""
    for group in groups.values():
        for name in group.attrs.get("weight_names", ()):
            path = name.decode() if isinstance(name, bytes) else str(name)
            layer, _, variable = path.removesuffix(":0").rpartition("/")
            yield (layer.rpartition("/")[2], variable), np.asarray(group[path], np.float32)


def _input(layers: list[tuple[str, str, dict[str, Any]]], name: str) -> Input:
    shapes = [options.get("batch_input_shape") for kind, _, options in layers if kind == "InputLayer"]
    shape = shapes[0] if shapes and shapes[0] else None
    if not isinstance(shape, list) or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
        raise Usage(f"{name} does not take squares of three channels: {shape}")
    size = shape[1] or inception_v3.INPUT_SIZE  # the notebook's generators have it where the network has none
    return Input(size=size, channels=3, scale="unit", fit="stretch", order="rgb", resample="nearest")


def _head(layers: list[tuple[str, str, dict[str, Any]]], name: str) -> tuple[int, str]:
    """Check that the layers are those of the original program; return the labels and the second layer's activation."""
    kinds = [kind for kind, _, _ in layers]
    dense = [(options.get("units"), options.get("activation")) for kind, _, options in layers if kind == "Dense"]
    expected = {**BLOCKS, "GlobalAveragePooling2D": 1, "Dense": 3}
    found = {kind: kinds.count(kind) for kind in expected}
    if unknown := sorted(set(kinds) - KNOWN):
        raise Usage(f"{name} has layers that the original network has not: {', '.join(unknown)}")
    if found != expected:
        raise Usage(f"{name} is no InceptionV3 with the original program's head: it has {found}")
    if dense[0] != (1024, "relu") or dense[1] not in ((512, "linear"), (512, "relu")) or dense[2][1] != "softmax":
        raise Usage(f"{name} has another head than the original program's: {dense}")
    if dense[2][0] != len(LABELS):
        raise Usage(f"{name} has {dense[2][0]} labels, and the original program's are {len(LABELS)}")
    return len(LABELS), dense[1][1]


def _array(
    weights: dict[tuple[str, str], NDArray[np.float32]], theirs: dict[str, str], layer: str, variable: Any, where: str
) -> NDArray[np.float32]:
    name = theirs[layer]
    array = weights[name, variable.name]
    if array.shape != tuple(variable.shape):
        wanted = tuple(variable.shape)
        raise Usage(f"{variable.name} of {name} has the shape {array.shape} in {where}, not {wanted}")
    if not np.isfinite(array).all():
        raise Usage(f"{variable.name} of {name} in {where} holds what is not a number")
    return array
