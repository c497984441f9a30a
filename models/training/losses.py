"""What a training makes small: one loss for each output of the network, added with weights."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from cspine.errors import Usage
from models.googlenet import LOSS_WEIGHTS
from models.training.recipe import Recipe

Outputs = Mapping[str, tf.Tensor]


def total(targets: Outputs, outputs: Outputs, weights: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Return the loss of a batch: of the logits, of GoogLeNet's auxiliary ones by their weights, of the lesion map."""
    loss = tf.constant(0.0)
    for name, output in outputs.items():
        if name == "lesion_map":
            loss += tf.reduce_mean(lesion_loss(targets[name], output))
        else:
            one = tf.reduce_mean(crossentropy(targets["logits"], output, weights, smoothing))
            loss += LOSS_WEIGHTS.get(name, 1.0) * one
    return loss


def crossentropy(target: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Return the cross-entropy (n,) of logits (n, classes), each picture weighted by its class; target is one-hot."""
    smooth = target * (1 - smoothing) + smoothing / target.shape[-1]
    found = tf.nn.softmax_cross_entropy_with_logits(smooth, tf.cast(logits, tf.float32))
    return found * tf.linalg.matvec(target, weights)


def lesion_loss(target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the cross-entropy (n,) of the lesion map, with the few cells that hold a lesion weighted up."""
    found = tf.nn.sigmoid_cross_entropy_with_logits(target, tf.cast(logits, tf.float32))
    return 10.0 * tf.reduce_mean(found * (1.0 + 8.0 * target), axis=(1, 2, 3))


def class_weights(recipe: Recipe, labels: Sequence[int], names: Sequence[str]) -> tf.Tensor:
    """Return the weight of each class, float32 (classes,); balanced ones give each class the same sum."""
    if recipe.class_weights == "none":
        return tf.ones(len(names))
    if recipe.class_weights == "balanced":
        return tf.constant(len(labels) / (len(names) * np.bincount(labels, minlength=len(names))), tf.float32)
    check_weights(recipe, names)
    return tf.constant([recipe.class_weights[name] for name in names], tf.float32)


def check_weights(recipe: Recipe, names: Sequence[str]) -> None:
    """Raise `Usage` where a recipe weighs other labels than there are."""
    weighed = recipe.class_weights
    if not isinstance(weighed, str) and set(weighed) != set(names):
        raise Usage(f"the recipe weighs {', '.join(weighed)}; the labels are {', '.join(names)}")
