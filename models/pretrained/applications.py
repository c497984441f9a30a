"""Weights of Keras applications without a top, for InceptionV3 and MobileNetV2."""

import warnings
from pathlib import Path

import keras
import numpy as np

from cspine.errors import Usage
from models.networks import NETWORKS
from models.pretrained.hdf5 import opened
from models.pretrained.store import Layers


def read(path: Path, network: str) -> Layers:
    """Return each layer's weights from a `.h5` or `.weights.h5` file of Keras.

    Raises `Usage` where the file is another one or has weights of another shape.
    """
    whole = NETWORKS[network].build(2)
    base = keras.Model(whole.inputs[0], whole.get_layer("pool").input)
    with opened(path):
        pass  # all of its data lie in it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras warns of layers that stay as they began
            base.load_weights(path)
    except (ValueError, KeyError, TypeError, OSError, UserWarning) as error:
        words = " ".join(str(error).split())[:300]
        raise Usage(f"{path.name} does not hold Keras' weights of {network} without its top: {words}") from error
    layers = {layer.name: layer.get_weights() for layer in base.layers if layer.weights}
    if not all(np.isfinite(array).all() for arrays in layers.values() for array in arrays):
        raise Usage(f"{path.name} holds what is not a number")
    return layers
