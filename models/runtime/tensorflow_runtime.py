"""A release run by TensorFlow: the runtime of a GPU, and of whatever has no export."""

import keras
import tensorflow as tf
from numpy.typing import NDArray

import models.lrn  # noqa: F401  # registers the custom layer
from cspine.card import Card
from models import ood
from models.networks import NETWORKS
from models.runtime.release import Floats, Release
from models.saliency import hirescam


class LoadedRelease(Release):
    """A release whose network is in memory."""

    runtime = "TensorFlow"

    def __init__(self, card: Card, identity: str, network: keras.Model, arrays: ood.Arrays) -> None:
        """Split the network at its saliency layer and compile one function of both parts."""
        self.card, self.identity, self.network, self.arrays = card, identity, network, arrays
        architecture = NETWORKS[card.network]
        split = network.get_layer(architecture.SALIENCY_LAYER).output
        looked_at = [network.get_layer(name).output for name in architecture.STRANGENESS_LAYERS]
        self._below = keras.Model(network.inputs[0], [split, *looked_at])
        self._above = keras.Model(split, network.outputs[0])
        shape = (None, card.input.size, card.input.size, card.input.channels)
        # The batch stays a free dimension: one trace serves every batch size
        self._run = tf.function(self._forward, input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)

    def outputs(self, batch: Floats) -> tuple[NDArray, ...]:
        """Return the outputs for a batch; raises `MemoryError` where the device has no room for it."""
        try:
            return tuple(output.numpy() for output in self._run(tf.constant(batch)))
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError("no room on the device") from error

    def _forward(self, batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        activation, *looked_at = self._below(batch, training=False)
        logits = self._logits(activation)
        probabilities = tf.nn.softmax(logits / self.card.temperature)
        explained = explained_label(self.card, probabilities)
        saliency = hirescam.explain(self._logits, activation, explained)
        return logits, probabilities, explained, saliency, ood.score(ood.features(looked_at), self.arrays)

    def _logits(self, activation: tf.Tensor) -> tf.Tensor:
        return tf.cast(self._above(activation, training=False), tf.float32)


def explained_label(card: Card, probabilities: tf.Tensor) -> tf.Tensor:
    """Choose the label to explain: of a flagged picture the most probable one that is not normal, else normal.

    A picture that is flagged although `normal` is the most probable shows what it was flagged for.
    """
    normal = card.normal_index
    abnormal = probabilities - tf.one_hot(normal, len(card.labels)) * 2.0
    first = tf.argmax(probabilities, 1, tf.int32)
    flagged = (first != normal) | (1 - probabilities[:, normal] >= card.thresholds.flag)
    return tf.where(flagged, tf.argmax(abnormal, 1, tf.int32), normal)
