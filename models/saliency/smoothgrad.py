"""SmoothGrad (Smilkov et al. 2017, https://arxiv.org/abs/1706.03825): the mean gradient of noisy copies."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from models.saliency.chunks import summed
from models.saliency.gradient import gradients


def explain(
    model_fn: Callable[[tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    label: tf.Tensor,
    n: int = 16,
    sigma: float = 0.1,
    seed: int = 0,
) -> np.ndarray:
    """Return the greatest absolute value over the channels of the gradient's mean over noisy copies of a picture.

    Parameters
    ----------
    model_fn
        From pictures to logits (n, classes).
    x
        Pictures (n, rows, columns, channels), float.
    label
        int (n,), the label to explain for each.
    n
        How many copies.
    sigma
        Deviation of the noise, as a share of the picture's range; with 0 this is the gradient.
    seed
        Of the noise, which is the same for every picture: a map does not depend on its company.

    Returns
    -------
    float (n, rows, columns), at least 0.
    """
    x, label = np.asarray(x, np.float32), np.asarray(label)
    noise = np.random.default_rng(seed).standard_normal((n, *x.shape[1:]), np.float32)
    maps = []
    for picture, one in zip(x, label, strict=True):
        deviation = sigma * float(np.ptp(picture))
        copies = picture + deviation * noise
        total = summed(lambda chunk, one=one: gradients(model_fn, chunk, np.full(len(chunk), one)), copies)
        maps.append(np.abs(total / n).max(-1))
    return np.stack(maps)
