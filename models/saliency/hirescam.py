"""HiResCAM (Draelos and Carin 2020, https://arxiv.org/abs/2011.08891): where the evidence for a class stands."""

from collections.abc import Callable

import tensorflow as tf

from models.saliency.gradient import gradients


def explain(model_fn: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Return the gradient of a label's logit times the activation, summed over channels.

    Parameters
    ----------
    model_fn
        From activations to logits (n, classes): the network above the layer that is explained.
    x
        Activations (n, rows, columns, channels), float.
    label
        int (n,), the label to explain for each.

    Returns
    -------
    float (n, rows, columns). Positive values speak for the label, negative ones against it. Where `model_fn` is
    linear the map adds up to the logit without its bias.
    """
    x = tf.convert_to_tensor(x)
    return tf.reduce_sum(gradients(model_fn, x, label) * x, axis=-1)
