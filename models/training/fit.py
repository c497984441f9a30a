"""Fit a network: Adam, one cosine with a warm-up, the lesion-map head where lesions were drawn, early stopping."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import keras
import tensorflow as tf

from cspine.card import Input
from models.training.batches import Batches
from models.training.data import Samples

Report = Callable[
    [int, int, dict[str, float] | None], None
]  # 0, steps of an epoch | -1, steps done | epoch, 0, its figures


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are those of the demo release."""

    width: float = 0.5
    epochs: int = 14
    batch: int = 16
    rate: float = 7e-4
    warmup_epochs: float = 0.5
    smoothing: float = 0.05
    patience: int = 8
    bfloat16: bool = True
    auxiliary: bool = False
    seed: int = 1


def fit(
    architecture: ModuleType, recipe: Recipe, training: Samples, validation: Samples, wanted: Input, classes: int,
    report: Report, state: Path | None = None,
) -> keras.Model:  # fmt: skip
    """Train a network and return it without its training heads, in float32, with the best epoch's weights.

    What is in the folder `state` is continued, and each epoch is kept there; the best epoch is then looked for among
    those that ran since.
    """
    keras.utils.set_random_seed(recipe.seed)
    options = {"width": recipe.width, "channels": wanted.channels, "size": wanted.size}
    heads = {"lesion_map": classes if training.lesions is not None else 0, "auxiliary": recipe.auxiliary}
    batches = Batches(training, wanted, classes, recipe.batch, recipe.seed, augmented=True)
    held_out = Batches(validation, wanted, classes, recipe.batch, recipe.seed, augmented=False)
    with policy("mixed_bfloat16" if recipe.bfloat16 else "float32"):
        model = architecture.build(classes, **options, **heads)
        if not isinstance(model.output, dict):
            model = keras.Model(model.inputs[0], {"logits": model.output})
        _compile(model, recipe, len(batches))
        model.fit(
            batches, validation_data=held_out, epochs=recipe.epochs, verbose=0, shuffle=False,
            callbacks=[
                *_kept(state),
                keras.callbacks.TerminateOnNaN(),
                keras.callbacks.EarlyStopping(
                    "val_logits_loss" if any(heads.values()) else "val_loss", mode="min",
                    patience=recipe.patience, restore_best_weights=True,
                ),
                keras.callbacks.LambdaCallback(
                    on_train_begin=lambda logs: report(0, len(batches), None),
                    on_epoch_begin=lambda epoch, logs: batches.begin(epoch),
                    on_train_batch_end=lambda batch, logs: report(-1, batch + 1, None),
                    on_epoch_end=lambda epoch, logs: report(epoch + 1, 0, dict(logs or {})),
                ),
            ],
        )  # fmt: skip
    with policy("float32"):
        plain = architecture.build(classes, **options)
    for layer in plain.layers:  # by name: the training heads stay behind
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return plain


def _kept(state: Path | None) -> list[keras.callbacks.Callback]:
    if state is None:
        return []
    return [keras.callbacks.BackupAndRestore(str(state), double_checkpoint=True, delete_checkpoint=False)]


def _compile(model: keras.Model, recipe: Recipe, steps: int) -> None:
    warmup = round(recipe.warmup_epochs * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.rate / 50, max(1, recipe.epochs * steps - warmup), warmup_target=recipe.rate, warmup_steps=warmup
    )
    crossentropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.smoothing)
    loss, weights = {}, {}
    for name in model.output:
        loss[name] = lesion_loss if name == "lesion_map" else crossentropy
        weights[name] = 0.3 if name.startswith("auxiliary") else 1.0
    model.compile(
        keras.optimizers.Adam(rate, clipnorm=1.0), loss=loss, loss_weights=weights,
        metrics={"logits": [keras.metrics.CategoricalAccuracy(name="accuracy")]},
    )  # fmt: skip


def lesion_loss(target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the cross-entropy of the lesion map, with the few cells that hold a lesion weighted up."""
    crossentropy = tf.nn.sigmoid_cross_entropy_with_logits(target, tf.cast(logits, tf.float32))
    return 10.0 * tf.reduce_mean(crossentropy * (1.0 + 8.0 * target), axis=(1, 2, 3))


@contextmanager
def policy(name: str) -> Iterator[None]:
    """Build layers under a dtype policy, and put the former one back."""
    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former)
