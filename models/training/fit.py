"""Fit a network by a recipe; what an epoch leaves behind is kept, so that the next one can begin in another process."""

import inspect
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cspine.card import Input
from cspine.errors import Permanent, Usage
from cspine.reasons import Reason
from models import metrics, pretrained
from models.networks import NETWORKS
from models.saliency.head import LAYER as LESION_MAP
from models.saliency.head import Head, head_of
from models.training import checkpoint, losses, rates
from models.training.batches import Batches
from models.training.data import Samples
from models.training.recipe import Recipe

Row = dict[str, float]
Report = Callable[[int, int, int], None]  # epoch from 1, steps done, steps of an epoch


@dataclass(frozen=True)
class Task:
    """What is to be learnt from what."""

    training: Samples
    validation: Samples
    labels: Sequence[str]
    input: Input
    drawn: bool  # the lesions are known


class Fitted(NamedTuple):
    """What a training gives."""

    network: keras.Model  # in float32, without training heads, its output logits
    lesion_head: Head | None  # where the recipe keeps it
    progress: checkpoint.Progress


def fit(
    task: Task, recipe: Recipe, seed: int, folder: Path, step_done: Report, epoch_done: Callable[[list[Row]], None]
) -> Fitted:
    """Train a network and return it without its training heads, in float32, with the best epoch's weights.

    `epoch_done` is called with a row an epoch, those of earlier processes too. What lies in `folder` is continued, and
    each epoch is kept there. The best epoch is that of the least loss on the validation part. Raises `Permanent`
    (not_a_number) when the loss is none; the last good epoch is kept.
    """
    keras.utils.set_random_seed(seed)
    model = built(task, recipe)
    heads = {*NETWORKS[recipe.network].HEAD_LAYERS, LESION_MAP}
    new = [layer.name for layer in model.layers if layer.name in heads]
    transferred = recipe.transfer.pretrained is not None
    keep_norm = transferred and recipe.transfer.batch_norm == "kept"
    groups = rates.Groups(model, new, recipe.optimizer, recipe.transfer.head_rate if transferred else 1.0)
    progress = checkpoint.restore(folder, model, groups.variables)
    cells = tuple(model.output[LESION_MAP].shape[1:3]) if LESION_MAP in model.output else None
    shared = (task.input, len(task.labels), recipe.batch, seed)
    training = Batches(task.training, *shared, recipe.augmentation.for_source(task.drawn), cells)
    validation = Batches(task.validation, *shared, None)
    weights = losses.class_weights(recipe, task.training.labels, task.labels)
    judge = _judge(model, validation)
    learn = None
    while progress.epoch < recipe.epochs and not _tired(progress, recipe):
        started, epoch = time.monotonic(), progress.epoch + 1
        if rates.unfreeze(model, recipe.transfer.unfreeze, epoch, new, keep_norm) or learn is None:
            learn = _learner(model, groups, weights, recipe.smoothing)
        total, right = 0.0, 0
        for step, (pictures, targets) in enumerate(training.epoch(epoch - 1)):
            groups.set_rate(rates.rate(recipe, (epoch - 1) * len(training) + step, len(training)))
            loss, hits = (value.numpy() for value in learn(pictures, targets))
            if not math.isfinite(loss):
                raise _diverged(f"in epoch {epoch}, step {step + 1}", progress, folder)
            total, right = total + float(loss) * len(pictures), right + int(hits)
            step_done(epoch, step + 1, len(training))
        validated, accuracy = judge()
        if not math.isfinite(validated):
            raise _diverged(f"on the validation part after epoch {epoch}", progress, folder)
        progress.epoch = epoch
        if validated < progress.best_loss:
            progress.best_epoch, progress.best_loss = epoch, validated
        progress.history.append({
            "epoch": epoch, "loss": total / len(task.training), "accuracy": right / len(task.training),
            "validation_loss": validated, "validation_accuracy": accuracy,
            "rate": rates.rate(recipe, (epoch - 1) * len(training), len(training)),
            "seconds": round(time.monotonic() - started, 1),
        })  # fmt: skip
        checkpoint.save(folder, progress, model, groups.variables)
        epoch_done(progress.history)
    checkpoint.restore_best(folder, progress, model)
    head = head_of(model) if recipe.keep_lesion_map and LESION_MAP in model.output else None
    return Fitted(plain(model, task, recipe), head, progress)


def check(task: Task, recipe: Recipe) -> None:
    """Raise `Usage` where a recipe does not fit its network, pretrained weights, labels or input; needs no pictures."""
    rates.check_layers(built(task, recipe), recipe.transfer.unfreeze)
    losses.check_weights(recipe, task.labels)


def built(task: Task, recipe: Recipe) -> keras.Model:
    """Build the network of a recipe with its training heads, pretrained where it says so; its output is a dict."""
    if recipe.transfer.unfreeze and recipe.transfer.pretrained is None:
        raise Usage("the recipe freezes layers, but names no pretrained weights for them; give --pretrained")
    build = NETWORKS[recipe.network].build
    options = _options(task, recipe)
    if recipe.auxiliary:
        if "auxiliary" not in inspect.signature(build).parameters:
            raise Usage(f"{recipe.network} has no auxiliary classifiers; leave `auxiliary` out of the recipe")
        options["auxiliary"] = True
    if recipe.lesion_map and task.drawn:
        options["lesion_map"] = len(task.labels)
    with policy(recipe.precision):
        try:
            model = build(len(task.labels), **options)
        except ValueError as error:  # how Keras says that nothing is left of a picture
            raise Usage(f"{recipe.network} is not built so for pictures of {task.input.size} pixels") from error
        if not isinstance(model.output, dict):
            model = keras.Model(model.inputs[0], {"logits": model.output}, name=model.name)
    for layer in model.layers:
        if recipe.batch_norm_momentum is not None and isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = recipe.batch_norm_momentum
    if recipe.transfer.pretrained is not None:
        pretrained.load(recipe.network, model, recipe.transfer.pretrained)
    return model


def plain(model: keras.Model, task: Task, recipe: Recipe) -> keras.Model:
    """Return the network in float32, without the heads that only training has."""
    with policy("float32"):
        network = NETWORKS[recipe.network].build(len(task.labels), **_options(task, recipe))
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return network


@contextmanager
def policy(name: str) -> Iterator[None]:
    """Build layers under a dtype policy, and put the former one back."""
    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former)


def exactly() -> None:
    """Make every later operation of TensorFlow give the same bits each time; must come before the first of them."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


def _options(task: Task, recipe: Recipe) -> dict[str, float]:
    options = {"width": recipe.width, "channels": task.input.channels, "size": task.input.size}
    return options if recipe.dropout is None else {**options, "dropout": recipe.dropout}


def _learner(
    model: keras.Model, groups: rates.Groups, weights: tf.Tensor, smoothing: float
) -> tf.types.experimental.PolymorphicFunction:
    """Compile one step for the layers that learn now; it returns the loss and how many pictures it got right."""
    variables = model.trainable_variables

    @tf.function(reduce_retracing=True, autograph=False)
    def learn(pictures: tf.Tensor, targets: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = model(pictures, training=True)
            loss = losses.total(targets, outputs, weights, smoothing)
        groups.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        right = tf.equal(tf.argmax(outputs["logits"], 1), tf.argmax(targets["logits"], 1))
        return loss, tf.reduce_sum(tf.cast(right, tf.int32))

    return learn


def _judge(model: keras.Model, validation: Batches) -> Callable[[], tuple[float, float]]:
    """Return a function that measures loss and accuracy on the validation part."""
    network = keras.Model(model.inputs[0], model.output["logits"])
    forward = tf.function(lambda pictures: network(pictures, training=False), reduce_retracing=True, autograph=False)

    def judge() -> tuple[float, float]:
        logits = np.concatenate([forward(pictures).numpy() for pictures, _ in validation.epoch(0)]).astype(np.float64)
        if not np.isfinite(logits).all():
            return math.nan, math.nan
        labels = np.array(validation.samples.labels)
        return metrics.nll(logits, labels), float((logits.argmax(1) == labels).mean())

    return judge


def _tired(progress: checkpoint.Progress, recipe: Recipe) -> bool:
    return bool(recipe.patience) and progress.epoch - progress.best_epoch >= recipe.patience


def _diverged(where: str, progress: checkpoint.Progress, folder: Path) -> Permanent:
    kept = f"epoch {progress.epoch} is kept in {folder}" if progress.epoch else "no epoch was finished"
    return Permanent(f"the loss is not a number {where}; {kept}; try a lower rate", Reason.NOT_A_NUMBER)
