"""Grad-CAM (Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391): channels weighted by their mean gradient."""

from collections.abc import Callable

import tensorflow as tf

from models.saliency.gradient import gradients


def explain(model_fn: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Return the activations' sum over channels, each weighted by the mean over places of the logit's gradient.

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
    float (n, rows, columns), at least 0: the paper's ReLU keeps only what speaks for the label.
    """
    x = tf.convert_to_tensor(x)
    weights = tf.reduce_mean(gradients(model_fn, x, label), axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * x, axis=-1))
