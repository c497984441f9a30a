"""Gradient (Simonyan et al. 2013, https://arxiv.org/abs/1312.6034): how much a logit changes with each pixel."""

from collections.abc import Callable

import tensorflow as tf


def explain(model_fn: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Return the greatest absolute gradient of a label's logit over the channels of each pixel.

    Parameters
    ----------
    model_fn
        From pictures to logits (n, classes).
    x
        Pictures (n, rows, columns, channels), float.
    label
        int (n,), the label to explain for each.

    Returns
    -------
    float (n, rows, columns), at least 0; it does not say whether a pixel speaks for the label or against it.
    """
    return tf.reduce_max(tf.abs(gradients(model_fn, x, label)), axis=-1)


def gradients(model_fn: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Return the gradient of each picture's logit of its label with respect to the picture, in the shape of `x`.

    A `model_fn` that has a method `gradients(x, label)`, compiled for instance, is asked instead of being recorded.
    """
    x = tf.convert_to_tensor(x)
    if hasattr(model_fn, "gradients"):
        return model_fn.gradients(x, label)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        chosen = tf.gather(model_fn(x), label, batch_dims=1)
    return tape.gradient(chosen, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
