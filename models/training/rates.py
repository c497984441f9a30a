"""How fast what learns: the rate by step, and optimizers in groups so that new layers learn faster than old ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from cspine.errors import Usage
from models.training.recipe import Optimizer, Recipe, Unfreezing


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0 over all epochs, of `steps` an epoch."""
    schedule, greatest = recipe.schedule, recipe.optimizer.rate
    warmup = round(schedule.warmup_epochs * steps)
    if step < warmup:
        return greatest * (0.02 + 0.98 * step / warmup)
    if schedule.kind == "cosine":
        return greatest * (1 + math.cos(math.pi * (step - warmup) / max(1, recipe.epochs * steps - warmup))) / 2
    if schedule.kind == "steps":
        return greatest * schedule.factor ** (step // (steps * schedule.every))
    return greatest


@dataclass(frozen=True)
class Group:
    """Variables that learn at one factor of the rate; a factor on gradients would do nothing under Adam."""

    optimizer: keras.Optimizer
    variables: list[keras.Variable]
    factor: float


class Groups:
    """The optimizers of a network: one for its new layers and one for all others."""

    def __init__(self, model: keras.Model, new: Sequence[str], how: Optimizer, factor: float) -> None:
        """Make them, with the layers named `new` learning `factor` times as fast."""
        mine = {id(variable) for name in new for variable in _layer(model, name).trainable_variables}
        every = model.trainable_variables
        self.groups = []
        for variables, times in (
            ([variable for variable in every if id(variable) not in mine], 1.0),
            ([variable for variable in every if id(variable) in mine], factor),
        ):
            if variables:
                optimizer = _made(how)
                optimizer.build(variables)
                self.groups.append(Group(optimizer, variables, times))

    def set_rate(self, value: float) -> None:
        """Set the rate of the next steps."""
        for group in self.groups:
            group.optimizer.learning_rate.assign(value * group.factor)

    def apply(self, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]) -> None:
        """Step along gradients of some of the variables; the others, frozen ones, stay as they are."""
        known = {id(variable): gradient for variable, gradient in zip(variables, gradients, strict=True)}
        for group in self.groups:
            if learning := [variable for variable in group.variables if id(variable) in known]:
                group.optimizer.apply([known[id(variable)] for variable in learning], learning)

    @property
    def variables(self) -> list[keras.Variable]:
        """What a checkpoint keeps of the optimizers."""
        return [variable for group in self.groups for variable in group.optimizer.variables]


def unfreeze(
    model: keras.Model, steps: Sequence[Unfreezing], epoch: int, new: Sequence[str] = (), keep_norm: bool = False
) -> bool:
    """Let those layers learn that shall at an epoch, counted from 1; tell whether that is another set than before.

    The layers named `new` always learn. A frozen layer of batch normalisation uses the mean and variance that it has;
    with `keep_norm` all of them are frozen.
    """
    due = [step for step in steps if step.epoch <= epoch]
    check_layers(model, due)
    names = [layer.name for layer in model.layers]
    first = names.index(due[-1].layer) if due and due[-1].layer else 0
    changed = False
    for index, layer in enumerate(model.layers):
        kept = keep_norm and isinstance(layer, keras.layers.BatchNormalization)
        learns = layer.name in new or (index >= first and not kept)
        changed |= layer.trainable != learns
        layer.trainable = learns
    return changed


def check_layers(model: keras.Model, steps: Sequence[Unfreezing]) -> None:
    """Raise `Usage` where one of the steps begins with a layer that a model does not have."""
    names = {layer.name for layer in model.layers}
    for step in steps:
        if step.layer and step.layer not in names:
            raise Usage(f"the recipe unfreezes from {step.layer}, which {model.name} does not have")


def _made(how: Optimizer) -> keras.Optimizer:
    shared = {"learning_rate": how.rate, "clipnorm": how.clipnorm, "weight_decay": how.weight_decay or None}
    if how.name == "adam":
        return keras.optimizers.Adam(**shared)
    return keras.optimizers.SGD(momentum=how.momentum, **shared)


def _layer(model: keras.Model, name: str) -> keras.Layer:
    return model.get_layer(name)
