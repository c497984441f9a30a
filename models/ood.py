"""Out of distribution: how unlike its training data a picture looks to the network, before any class is spoken of.

Mahalanobis distance of the means and deviations of the channels in the middle of the network, under a Gaussian whose
covariance is a few directions and an equal rest (probabilistic PCA). Energy and the greatest probability were tried
and tell next to nothing, nor do the last layers, which have learnt to look away from what tells no class.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cspine.errors import Permanent
from cspine.reasons import Reason

METHOD = "mahalanobis"
DIRECTIONS = 64
ACCEPTED = 0.98  # share of held-out pictures of the training's kind that pass

Arrays = Mapping[str, NDArray[np.float16]]


def features(activations: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return means and deviations (n, 2 * all channels) of the channels of layers (n, rows, columns, channels)."""
    found = []
    for activation in activations:
        mean, variance = tf.nn.moments(tf.cast(activation, tf.float32), axes=(1, 2))
        found += [mean, tf.sqrt(variance + 1e-6)]
    return tf.concat(found, axis=1)


def fit(sample: NDArray[np.float32]) -> dict[str, NDArray[np.float16]]:
    """Describe features (n, d) of in-distribution pictures by the arrays that `score` takes.

    Raises `Permanent` (not_a_number) where a feature is none, or one that float16 cannot hold: a network that has
    diverged.
    """
    if not (np.abs(sample) <= np.finfo(np.float16).max).all():
        raise Permanent("what the network's middle layers say is no number, or far too great", Reason.NOT_A_NUMBER)
    mean, scale = sample.mean(0), np.maximum(sample.std(0), 1e-2)
    standardised = (sample - mean) / scale
    _, singular, directions = np.linalg.svd(standardised, full_matrices=False)
    variances = singular**2 / len(sample)
    kept = min(DIRECTIONS, len(sample) // 4, sample.shape[1] // 2)
    rest = max(float(variances[kept:].sum()) / (sample.shape[1] - kept), 1e-3)
    return {
        "mean": mean.astype(np.float16),
        "scale": scale.astype(np.float16),
        "directions": directions[:kept].T.astype(np.float16),
        "variances": np.maximum(variances[:kept], 1e-3).astype(np.float16),
        "rest": np.array(rest, np.float16),
    }


def score(sample: tf.Tensor, arrays: Arrays) -> tf.Tensor:
    """Return the squared distance a dimension, float32 (n,), of features (n, d); about 1 for the training's kind."""
    constant = {name: tf.constant(np.asarray(array, np.float32)) for name, array in arrays.items()}
    standardised = (sample - constant["mean"]) / constant["scale"]
    along = tf.square(standardised @ constant["directions"])
    across = tf.maximum(tf.reduce_sum(tf.square(standardised), 1) - tf.reduce_sum(along, 1), 0.0)
    distance = tf.reduce_sum(along / constant["variances"], 1) + across / constant["rest"]
    return distance / tf.cast(tf.shape(sample)[1], tf.float32)


def threshold(scores: NDArray[np.float32], accepted: float = ACCEPTED) -> float:
    """Return the score up to which that share of held-out pictures is accepted."""
    return float(np.quantile(scores, accepted, method="higher"))
