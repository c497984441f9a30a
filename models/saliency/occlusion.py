"""Occlusion (Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901): what a logit loses where it is covered."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from models.saliency.chunks import mapped


def explain(
    model_fn: Callable[[tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    label: tf.Tensor,
    size: int = 32,
    stride: int = 16,
    fill: float = 0.0,
) -> np.ndarray:
    """Return by how much a label's logit falls when a square patch covers each cell and what lies around it.

    Parameters
    ----------
    model_fn
        From pictures to logits (n, classes).
    x
        Pictures (n, rows, columns, channels), float.
    label
        int (n,), the label to explain for each.
    size, stride
        Side of the patch and distance of its places, pixels; at the border a part of it lies outside.
    fill
        What the patch is filled with; 0 is a standardised picture's mean.

    Returns
    -------
    float (n, ceil(rows / stride), ceil(columns / stride)). Positive values: what lies there speaks for the label.
    """
    x, label = np.asarray(x, np.float32), np.asarray(label)
    places = patches(x.shape[1], size, stride), patches(x.shape[2], size, stride)
    maps = []
    for picture, one in zip(x, label, strict=True):
        line = []
        for rows in places[0]:  # all copies of a picture together would take much memory
            covered = np.stack([_covered(picture, rows, columns, fill) for columns in places[1]])
            line.append(mapped(model_fn, covered)[:, one])
        whole = np.asarray(model_fn(tf.constant(picture[None])))[0, one]
        maps.append(whole - np.stack(line))
    return np.stack(maps)


def patches(length: int, size: int, stride: int) -> list[slice]:
    """Return the places of a patch along one side: centred in equal cells, of which each has about a stride."""
    cells = -(-length // stride)
    starts = [round((i + 0.5) * length / cells - size / 2) for i in range(cells)]
    return [slice(max(0, start), max(0, start + size)) for start in starts]


def _covered(picture: np.ndarray, rows: slice, columns: slice, fill: float) -> np.ndarray:
    copy = picture.copy()
    copy[rows, columns] = fill
    return copy
