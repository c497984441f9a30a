"""Imported weights in a file of our own layout: arrays by layer and place, and beside them what they are.

`layers/<layer>/<place>` holds the arrays in Keras' order; attributes of the file say the network, the input the weights
were trained on, where they come from, and the SHA-256 over all arrays.
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import keras
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from cspine.card import Input
from cspine.errors import Usage
from models.networks import NETWORKS
from models.pretrained.hdf5 import opened

FORMAT = "cspine weights 1"
Layers = dict[str, list[NDArray[np.float32]]]


@dataclass(frozen=True)
class Weights:
    """A network's weights, what they were trained on, and the file they come from."""

    network: str
    input: Input
    origin: str
    layers: Layers

    @property
    def sha256(self) -> str:
        """Return the SHA-256 over the arrays with their names and shapes."""
        digest = hashlib.sha256()
        for name in sorted(self.layers):
            for place, array in enumerate(self.layers[name]):
                digest.update(f"{name}/{place} {array.shape}\n".encode())
                digest.update(np.ascontiguousarray(array, "<f4"))
        return digest.hexdigest()


def save(path: Path, weights: Weights) -> None:
    """Write weights into a file, which appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        with h5py.File(scratch, "w") as file:
            file.attrs.update({
                "format": FORMAT, "network": weights.network, "input": weights.input.model_dump_json(),
                "origin": weights.origin, "sha256": weights.sha256,
            })  # fmt: skip
            for name, arrays in weights.layers.items():
                for place, array in enumerate(arrays):
                    file[f"layers/{name}/{place}"] = array.astype("<f4")
        Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def read(path: Path) -> Weights:
    """Read a file that `save` has written; raises `Usage` where it is another one or not what it was."""
    with opened(path) as file:
        if file.attrs.get("format") != FORMAT:
            raise Usage(f"{path.name} was not written by `cspine pretrained import`")
        try:
            layers = {
                name: [np.asarray(group[str(place)], np.float32) for place in range(len(group))]
                for name, group in file["layers"].items()
            }
            weights = Weights(
                str(file.attrs["network"]), Input.model_validate_json(file.attrs["input"]), str(file.attrs["origin"]),
                layers,
            )  # fmt: skip
            expected = file.attrs["sha256"]
        except (KeyError, TypeError, ValueError, AttributeError, ValidationError) as error:
            raise Usage(f"{path.name} is a damaged file of weights") from error
    if weights.sha256 != expected:
        raise Usage(f"{path.name} holds other weights than were written into it (SHA-256 differs)")
    return weights


def load(network: str, model: keras.Model, path: Path) -> list[str]:
    """Put imported weights into all layers of a model but its head and return the names of the layers filled.

    Layers of the model that the file does not have (training heads) stay as they are. Raises `Usage` where the file is
    of another network, is not what it was, lacks a layer, or has one of another shape.
    """
    weights = read(path)
    if weights.network != network:
        raise Usage(f"{path.name} holds weights of {weights.network}, not of {network}")
    head = NETWORKS[network].HEAD_LAYERS
    filled = []
    for layer in model.layers:
        if not layer.weights or layer.name in (*head, "lesion_map"):
            continue
        arrays = weights.layers.get(layer.name)
        if arrays is None and layer.name.startswith("auxiliary_"):
            continue
        if arrays is None:
            raise Usage(f"{path.name} lacks {layer.name} of {network}")
        given, wanted = [array.shape for array in arrays], [tuple(variable.shape) for variable in layer.weights]
        if given != wanted:
            raise Usage(f"{layer.name} has the shapes {given} in {path.name} and {wanted} in this {network}")
        filled.append((layer, arrays))
    for layer, arrays in filled:  # all or none
        layer.set_weights(arrays)
    return [layer.name for layer, _ in filled]
