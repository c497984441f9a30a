"""All of a release's answers to a batch, as one TensorFlow graph of operations that OpenVINO reads."""

import keras
import tensorflow as tf

from cspine.card import Card
from models import ood
from models.export import backward, walk
from models.networks import NETWORKS

OUTPUTS = ("logits", "probabilities", "explained", "saliency", "ood_score")


def graph(card: Card, network: keras.Model, arrays: ood.Arrays, with_map: bool = True) -> tf.types.experimental.ConcreteFunction:
    """Trace float32 (n, size, size, channels) -> a dict of OUTPUTS, n being free.

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
        label = explained(card, probabilities)
        found = {"logits": logits, "probabilities": probabilities, "explained": label, "ood_score": score}
        if with_map:
            seed = tf.one_hot(label, len(card.labels))
            found["saliency"] = backward.explained_map(above, values, split, seed)
        return found

    shape = (None, card.input.size, card.input.size, card.input.channels)
    traced = tf.function(answer, input_signature=[tf.TensorSpec(shape, tf.float32, "picture")], autograph=False)
    return traced.get_concrete_function()


def explained(card: Card, probabilities: tf.Tensor) -> tf.Tensor:
    """Choose the label to explain: of a flagged picture the most probable one that is not normal, else normal.

    A picture that is flagged although `normal` is the most probable shows what it was flagged for.
    """
    normal = card.normal_index
    abnormal = probabilities - tf.one_hot(normal, len(card.labels)) * 2.0
    first = tf.argmax(probabilities, 1, tf.int32)
    flagged = (first != normal) | (1 - probabilities[:, normal] >= card.thresholds.flag)
    return tf.where(flagged, tf.argmax(abnormal, 1, tf.int32), normal)
