"""A release's network as the functions that the saliency methods take."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cspine import saliency
from cspine.errors import Permanent
from cspine.reasons import Reason
from models.networks import NETWORKS
from models.saliency import METHODS
from models.saliency.gradient import gradients
from models.saliency.head import Head

Floats = NDArray[np.float32]


class Compiled:
    """A part of a network as a compiled function, with its gradient compiled beside it.

    A tape around a compiled function would have the gradient of every weight computed too, and thrown away.
    """

    def __init__(self, model: keras.Model) -> None:
        """Compile at the first use; the number of pictures stays free."""
        pictures = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
        labels = tf.TensorSpec((None,), tf.int32)

        def run(x: tf.Tensor) -> tf.Tensor:
            return tf.cast(model(x, training=False), tf.float32)

        def differentiate(x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
            return gradients(run, x, label)

        self._run = tf.function(run, input_signature=[pictures], autograph=False)
        self._gradients = tf.function(differentiate, input_signature=[pictures, labels], autograph=False)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Return the part's values of x."""
        return self._run(x)

    def gradients(self, x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Return the gradient of each label's output with respect to x."""
        return self._gradients(x, tf.cast(label, tf.int32))


class Explainer:
    """One network, split at the layers that are explained; what is compiled is kept."""

    def __init__(self, network_name: str, network: keras.Model, lesion_head: Head | None = None) -> None:
        """Keep a network of `models.networks` whose output is logits, and the supervised head where there is one.

        The head's arrays are `kernel` (channels, classes) and `bias` (classes,), over the network's saliency layer.
        """
        self._network, self._head = network, lesion_head
        self._saliency_layer = NETWORKS[network_name].SALIENCY_LAYER
        self._last_block = before_average(network)
        self._functions: dict[tuple[str, str], Compiled] = {}

    @property
    def methods(self) -> list[str]:
        """The names of the methods that this network allows."""
        lacking = {"cam": self._last_block is None, "lesion_map": self._head is None}
        return [name for name in METHODS if not lacking.get(name)]

    def explain(self, method: str, batch: Floats, labels: NDArray[np.int32], **options: float) -> Floats:
        """Return maps, float32 (n, g, g) over the network's square input, of pictures (n, size, size, channels).

        Raises `Permanent`: unsupported_method where the network does not allow the method, not_a_number where a
        picture or a map is not finite.
        """
        if method not in self.methods:
            raise Permanent(f"this network has no {method}", Reason.UNSUPPORTED_METHOD)
        if not np.isfinite(batch).all():  # a network may turn it into a number that means nothing
            raise Permanent("a picture is not finite", Reason.NOT_A_NUMBER)
        x, function = self._below(method, batch)
        maps = np.asarray(METHODS[method](function, x, tf.constant(labels, tf.int32), **options), np.float32)
        if not np.isfinite(maps).all():
            raise Permanent("a map is not finite", Reason.NOT_A_NUMBER)
        return maps

    def logits(self, batch: Floats) -> Floats:
        """Return the logits (n, classes) of pictures."""
        return np.asarray(self._compiled("", "above")(tf.constant(batch, tf.float32)))

    def _below(self, method: str, batch: Floats) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        """Return what a method looks at, and the function of it that it explains."""
        x = tf.constant(batch, tf.float32)
        if saliency.METHODS[method].acts_on == "input":
            return x, self._compiled("", "above")
        layer = self._last_block if method == "cam" else self._saliency_layer
        assert layer is not None, "`methods` knows"
        activation = self._compiled(layer, "below")(x)
        return activation, self._lesions if method == "lesion_map" else self._compiled(layer, "above")

    def _compiled(self, layer: str, part: str) -> "Compiled":
        """Compile the network below or above a layer, once; above none is all of it."""
        if (layer, part) not in self._functions:
            inputs, outputs = self._network.inputs[0], self._network.outputs[0]
            middle = self._network.get_layer(layer).output if layer else inputs
            ends = (inputs, middle) if part == "below" else (middle, outputs)
            self._functions[layer, part] = Compiled(keras.Model(*ends))
        return self._functions[layer, part]

    def _lesions(self, activation: tf.Tensor) -> tf.Tensor:
        assert self._head is not None
        return tf.cast(activation, tf.float32) @ self._head["kernel"] + self._head["bias"]


def before_average(network: keras.Model) -> str | None:
    """Return the layer that the head averages before its one dense layer; null where the head is another.

    In such a head, and in no other, class activation is exact.
    """
    above = iter(reversed(network.layers))
    if not isinstance(next(above), keras.layers.Dense):
        return None
    for layer in above:
        if isinstance(layer, keras.layers.Dropout):
            continue
        if not isinstance(layer, keras.layers.GlobalAveragePooling2D):
            return None
        return str(layer.input._keras_history.operation.name)
    return None
