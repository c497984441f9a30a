"""Integrated gradients (Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365): gradients on the way to x."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from models.saliency.chunks import summed
from models.saliency.gradient import gradients


def explain(
    model_fn: Callable[[tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    label: tf.Tensor,
    steps: int = 32,
    baseline: float | np.ndarray = 0.0,
    tolerance: float = 0.01,
    most_steps: int = 288,
) -> np.ndarray:
    """Return the difference to a baseline times the mean gradient on the straight way from it, summed over channels.

    Parameters
    ----------
    model_fn
        From pictures to logits (n, classes).
    x
        Pictures (n, rows, columns, channels), float.
    label
        int (n,), the label to explain for each.
    steps
        Points on the way, at the middles of equal parts of it, to begin with.
    baseline
        A picture (rows, columns, channels) or a value of all its pixels; 0 is a standardised picture's mean.
    tolerance, most_steps
        Where the map does not add up to within this share, each part is cut in three, while there are not too many.

    Returns
    -------
    float (n, rows, columns). Positive values speak for the label, negative ones against it. A map adds up to the
    logit's difference between picture and baseline, within the tolerance or as well as the most steps allow.
    """
    x, label = np.asarray(x, np.float32), np.asarray(label)
    return np.stack([
        _one(model_fn, picture, int(one), steps, np.zeros_like(picture) + np.float32(baseline), tolerance, most_steps)
        for picture, one in zip(x, label, strict=True)
    ])  # fmt: skip


def _one(
    model_fn: Callable[[tf.Tensor], tf.Tensor],
    picture: np.ndarray,
    label: int,
    steps: int,
    baseline: np.ndarray,
    tolerance: float,
    most_steps: int,
) -> np.ndarray:
    difference = picture - baseline
    ends = np.asarray(model_fn(tf.constant(np.stack([picture, baseline]))))[:, label]
    total, offsets = np.zeros(picture.shape), (0.5,)
    while True:
        shares = np.add.outer(offsets, np.arange(steps)).ravel() / steps
        way = baseline + shares.astype(np.float32).reshape(-1, 1, 1, 1) * difference
        total += summed(lambda chunk: gradients(model_fn, chunk, np.full(len(chunk), label)), way)
        points = steps if offsets == (0.5,) else 3 * steps
        found = (difference * total / points).sum(-1)
        gained = ends[0] - ends[1]
        if abs(found.sum() - gained) <= tolerance * abs(gained) or 3 * points > most_steps:
            return found
        steps, offsets = points, (1 / 6, 5 / 6)  # the middles of the outer thirds; that of the inner one is there
