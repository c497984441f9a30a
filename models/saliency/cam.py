"""Class activation mapping (Zhou et al. 2016, https://arxiv.org/abs/1512.04150): what each place adds to a logit.

Exact where the head allows it: a global average and one dense layer, as in GoogLeNet.
"""

from collections.abc import Callable

import tensorflow as tf


def explain(model_fn: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Return the logit that a picture would have that looked everywhere like each place, without the head's bias.

    For such a head the mean of the map over all places is the logit without its bias, and Grad-CAM is the positive
    part of the map divided by the number of places.

    Parameters
    ----------
    model_fn
        From activations of the last block to logits (n, classes).
    x
        Activations (n, rows, columns, channels), float.
    label
        int (n,), the label to explain for each.

    Returns
    -------
    float (n, rows, columns). Positive values speak for the label, negative ones against it.
    """
    x = tf.convert_to_tensor(x)
    n, rows, columns, channels = x.shape
    places = tf.reshape(x, (-1, 1, 1, channels))
    everywhere = tf.tile(places, (1, rows, columns, 1))
    logits = model_fn(everywhere) - model_fn(tf.zeros((1, rows, columns, channels), x.dtype))
    return tf.gather(tf.reshape(logits, (n, rows, columns, -1)), label, axis=-1, batch_dims=1)
