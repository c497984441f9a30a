"""All of a release's answers to a batch, as one TensorFlow graph of operations that OpenVINO reads."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from cspine.card import Card
from models import ood
from models.export import backward, walk
from models.networks import NETWORKS
from models.runtime.tensorflow_runtime import explained_label


def trace(card: Card, network: keras.Model, arrays: ood.Arrays) -> tf.types.experimental.ConcreteFunction:
    """Trace float32 (n, size, size, channels) -> a dict of `models.runtime.release.OUTPUTS`, n being free.

    The saliency is HiResCAM (`models.saliency.hirescam`) with its gradient written as forward operations. Raises
    `Unsupported` for a network whose layers have no such form here.
    """
    architecture = NETWORKS[card.network]
    split = network.get_layer(architecture.SALIENCY_LAYER).output
    looked_at = [network.get_layer(name).output for name in architecture.STRANGENESS_LAYERS]
    below = walk.steps([split, *looked_at], network.inputs)
    above = walk.steps(network.outputs, [split])
    backward.supported(above)

    def answer(picture: tf.Tensor) -> dict[str, tf.Tensor]:
        values = walk.run(below, {id(network.inputs[0]): picture})
        score = ood.score(ood.features([values[id(layer)] for layer in looked_at]), arrays)
        values = walk.run(above, values)
        logits = values[id(network.outputs[0])]
        probabilities = tf.nn.softmax(logits / card.temperature)
        label = explained_label(card, probabilities)
        saliency = backward.explained_map(above, values, split, tf.one_hot(label, len(card.labels)))
        return {"logits": logits, "probabilities": probabilities, "explained": label, "saliency": saliency,
                "ood_score": score}  # fmt: skip

    shape = (None, card.input.size, card.input.size, card.input.channels)
    return _traced(answer, shape)


def trace_logits(network: keras.Model) -> tf.types.experimental.ConcreteFunction:
    """Trace the network alone: float32 (n, size, size, channels) -> {"logits"}."""
    calls = walk.steps(network.outputs, network.inputs)

    def answer(picture: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": walk.run(calls, {id(network.inputs[0]): picture})[id(network.outputs[0])]}

    return _traced(answer, network.inputs[0].shape)


def _traced(answer: Callable[[tf.Tensor], dict[str, tf.Tensor]], shape: Sequence[int | None]):
    signature = [tf.TensorSpec(shape, tf.float32, "picture")]
    return tf.function(answer, input_signature=signature, autograph=False).get_concrete_function()
