"""Rates by step, new layers that learn faster, frozen layers that do not learn."""

import numpy as np
import pytest
import tensorflow as tf

from cspine.errors import Usage
from models.training import rates
from models.training.recipe import Optimizer, Recipe, Unfreezing
from tests.models.training.small import build


def test_steps_cut_the_rate_every_few_epochs() -> None:
    paper = Recipe(epochs=30, optimizer={"rate": 1e-3}, schedule={"kind": "steps", "every": 4, "factor": 0.1})
    found = [rates.rate(paper, epoch * 7, 7) for epoch in range(30)]
    assert found[:4] == [1e-3] * 4
    assert found[4] == pytest.approx(1e-4) and found[28] == pytest.approx(1e-10)
    assert rates.rate(paper, 4 * 7 - 1, 7) == 1e-3


def test_cosine_warms_up_and_falls_to_zero() -> None:
    recipe = Recipe(epochs=10, optimizer={"rate": 1.0}, schedule={"kind": "cosine", "warmup_epochs": 1})
    found = [rates.rate(recipe, step, 10) for step in range(101)]
    assert found[0] == pytest.approx(0.02) and found[5] == pytest.approx(0.51)
    assert found[10] == 1 and found[55] == pytest.approx(0.5) and found[100] == pytest.approx(0)
    assert found[10:] == sorted(found[10:], reverse=True)
    assert rates.rate(Recipe(optimizer={"rate": 0.3}), 99, 10) == 0.3


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_new_layers_learn_so_many_times_as_fast(name: str) -> None:
    """Under one gradient the step of a new layer is ten times that of an old one, for either optimizer."""
    model = build(3)
    groups = rates.Groups(model, ["logits"], Optimizer(name=name, momentum=0), factor=10)
    groups.set_rate(0.01)
    before = [variable.numpy() for variable in model.trainable_variables]
    variables = model.trainable_variables
    groups.apply([tf.ones_like(variable) for variable in variables], variables)
    moved = {
        variable.path: np.abs(variable.numpy() - old).mean() for variable, old in zip(variables, before, strict=True)
    }
    assert moved.pop("logits/kernel") == pytest.approx(0.1, rel=1e-3)
    assert moved.pop("logits/bias") == pytest.approx(0.1, rel=1e-3)
    assert list(moved.values()) == pytest.approx([0.01] * len(moved), rel=1e-3)


def test_layers_thaw_from_the_output_on() -> None:
    model = build(3)
    steps = [Unfreezing(epoch=1, layer="logits"), Unfreezing(epoch=3, layer="conv2"), Unfreezing(epoch=4, layer="")]
    learning = []
    for epoch in (1, 2, 3, 4):
        changed = rates.unfreeze(model, steps, epoch)
        learning.append((changed, {variable.path.split("/")[0] for variable in model.trainable_variables}))
    assert learning == [
        (True, {"logits"}),
        (False, {"logits"}),
        (True, {"conv2", "logits"}),
        (True, {"conv1", "norm", "conv2", "logits"}),
    ]
    rates.unfreeze(model, steps, 1, new=["conv1"])
    assert {variable.path.split("/")[0] for variable in model.trainable_variables} == {"conv1", "logits"}
    with pytest.raises(Usage, match="the recipe unfreezes from conv9, which small does not have"):
        rates.unfreeze(model, [Unfreezing(epoch=1, layer="conv9")], 1)


def test_a_frozen_batch_normalisation_keeps_its_mean() -> None:
    model = build(3)
    pictures = np.random.default_rng(0).normal(5, 1, (4, 32, 32, 1)).astype(np.float32)
    rates.unfreeze(model, [Unfreezing(epoch=1, layer="conv2")], 1)
    model(pictures, training=True)
    assert not model.get_layer("norm").moving_mean.numpy().any()
    rates.unfreeze(model, [], 2)
    model(pictures, training=True)
    assert model.get_layer("norm").moving_mean.numpy().any()
    learnt = model.get_layer("norm").moving_mean.numpy()
    rates.unfreeze(model, [], 3, keep_norm=True)
    model(pictures, training=True)
    np.testing.assert_array_equal(model.get_layer("norm").moving_mean.numpy(), learnt)


def moved(how: Optimizer, gradients: list[float]) -> np.ndarray:
    """Return by how much each step along a gradient moves the new layer's first weight, which begins at 1."""
    model = build(3)
    groups = rates.Groups(model, [], how, factor=1)
    kernel = model.get_layer("logits").kernel
    kernel.assign(np.ones(kernel.shape))
    places = [1.0]
    for gradient in gradients:
        groups.set_rate(0.01)
        groups.apply([tf.fill(kernel.shape, gradient)], [kernel])
        places.append(float(kernel.numpy()[0, 0]))
    return np.diff(places)


def test_the_optimizer_is_the_recipe_s() -> None:
    """Momentum, the greatest norm and the decay do what they say."""
    plain = moved(Optimizer(name="sgd", momentum=0), [1.0, 1.0])
    np.testing.assert_allclose(plain, [-0.01, -0.01], rtol=1e-3)
    np.testing.assert_allclose(moved(Optimizer(name="sgd", momentum=0.5), [1.0, 1.0]), [-0.01, -0.015], rtol=1e-3)
    clipped = moved(Optimizer(name="sgd", momentum=0, clipnorm=0.1), [1.0])  # of 24 weights
    np.testing.assert_allclose(clipped, [-0.01 * 0.1 / np.sqrt(24)], rtol=1e-2)
    for name in ("sgd", "adam"):
        np.testing.assert_allclose(moved(Optimizer(name=name, weight_decay=0.5), [0.0]), [-0.005], rtol=1e-3)
    assert rates.Groups(build(3), [], Optimizer(name="adam", clipnorm=0.3), 1).groups[0].optimizer.clipnorm == 0.3


def test_every_step_of_the_thawing_is_looked_at_before_the_first() -> None:
    with pytest.raises(Usage, match="unfreezes from conv9"):
        rates.check_layers(build(3), [Unfreezing(epoch=1, layer="conv2"), Unfreezing(epoch=3, layer="conv9")])
