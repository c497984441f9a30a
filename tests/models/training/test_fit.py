"""Fitting: it learns, keeps the best epoch, goes on where it stopped, and stops at a loss that is no number."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from cspine.errors import Permanent, Usage
from cspine.preprocessing import to_input
from cspine.reasons import Reason
from models import googlenet, metrics
from models.pretrained import Weights, store
from models.training import checkpoint, losses, rates
from models.training.batches import Batches
from models.training.data import Samples
from models.training.fit import Task, _judge, built, check, fit, policy
from models.training.recipe import Recipe
from tests.models.conftest import NAMES
from tests.models.conftest import WANTED as WANTED64
from tests.models.training.small import LABELS, RECIPE, build, stripes


def run(
    task: Task, recipe: Recipe, folder: Path, seed: int = 7, stop: tuple[int, int] | None = None
) -> tuple[keras.Model, list[dict[str, float]]]:
    """Fit, die at a given epoch and step, and return the network and the log's rows."""
    rows: list[dict[str, float]] = []
    folder.mkdir(exist_ok=True)

    def step_done(epoch: int, step: int, steps: int) -> None:
        if (epoch, step) == stop:
            raise KeyboardInterrupt

    def epoch_done(history: list[dict[str, float]]) -> None:
        rows[:] = history

    return fit(task, recipe, seed, folder, step_done, epoch_done).network, rows


def weights(network: keras.Model) -> np.ndarray:
    """Join all weights."""
    return np.concatenate([weight.ravel() for weight in network.get_weights()])


def test_it_learns_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    task = Task(stripes(60), stripes(30, seed=1), LABELS, RECIPE.input.resolved(32, None), drawn=False)
    recipe = RECIPE.changed({"epochs": 8, "optimizer.rate": 0.02})
    network, rows = run(task, recipe, tmp_path / "run")
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    validated = [row["validation_loss"] for row in rows]
    served = np.stack([to_input(picture, task.input) for picture in task.validation.pictures])
    logits = network(served, training=False).numpy()
    assert metrics.nll(logits, np.array(task.validation.labels)) == pytest.approx(min(validated), rel=1e-4)


def test_an_interrupted_training_goes_on(tmp_path: Path, task: Task) -> None:
    whole, rows = run(task, RECIPE, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(task, RECIPE, tmp_path / "stopped", stop=(3, 2))
    resumed, again = run(task, RECIPE, tmp_path / "stopped", stop=(2, 1))
    assert [row["loss"] for row in again] == pytest.approx([row["loss"] for row in rows], rel=1e-4)
    np.testing.assert_allclose(weights(resumed), weights(whole), rtol=1e-3, atol=1e-5)


def test_two_seeds_differ(tmp_path: Path, task: Task) -> None:
    short = RECIPE.changed({"epochs": 1})
    first, second = (weights(run(task, short, tmp_path / f"{seed}", seed)[0]) for seed in (1, 2))
    assert np.abs(first - second).max() > 0.01


def test_a_loss_that_is_no_number_stops_it_and_the_last_epoch_is_kept(
    tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(task, RECIPE.changed({"epochs": 2}), tmp_path / "run")
    monkeypatch.setattr(losses, "crossentropy", lambda target, logits, *rest: tf.reduce_sum(logits, 1) * np.nan)
    with pytest.raises(Permanent, match="the loss is not a number in epoch 3, step 1; epoch 2 is kept in") as caught:
        run(task, RECIPE, tmp_path / "run")
    assert caught.value.reason is Reason.NOT_A_NUMBER
    with np.load(tmp_path / "run" / checkpoint.NAME) as arrays:
        kept = [arrays[name] for name in arrays if name.startswith("model/")]
    assert all(np.isfinite(array).all() for array in kept)


def test_early_stopping_waits_and_ends(tmp_path: Path, task: Task) -> None:
    still = RECIPE.changed({"epochs": 9, "patience": 2, "optimizer.rate": 1e-30})
    _, rows = run(task, still, tmp_path / "run")
    best = int(np.argmin([row["validation_loss"] for row in rows]))
    assert len(rows) == best + 1 + 2 < 9


def test_mixed_precision_ends_in_float32(tmp_path: Path, task: Task) -> None:
    mixed = RECIPE.changed({"epochs": 1, "precision": "mixed_bfloat16"})
    assert {layer.compute_dtype for layer in built(task, mixed).layers if layer.weights} == {"bfloat16", "float32"}
    network, rows = run(task, mixed, tmp_path / "run")
    assert {layer.dtype_policy.name for layer in network.layers} == {"float32"}
    assert np.isfinite(weights(network)).all() and np.isfinite(rows[0]["loss"])


def test_the_policy_is_put_back() -> None:
    with pytest.raises(RuntimeError), policy("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise RuntimeError
    assert keras.config.dtype_policy().name == "float32"


def test_training_heads_are_there_where_they_shall_be() -> None:
    task = Task(Samples(), Samples(), NAMES, WANTED64, drawn=True)
    recipe = Recipe(network="googlenet", width=1 / 16)
    assert set(built(task, recipe).output) == {"logits", "lesion_map"}
    assert set(built(replace(task, drawn=False), recipe).output) == {"logits"}
    large = replace(task, input=WANTED64.model_copy(update={"size": 112}))
    assert set(built(large, recipe.changed({"auxiliary": True})).output) == {
        "logits", "lesion_map", "auxiliary_1", "auxiliary_2",
    }  # fmt: skip
    with pytest.raises(Usage, match="alexnet has no auxiliary classifiers"):
        built(large, recipe.changed({"network": "alexnet", "auxiliary": True}))
    assert "auxiliary_1" in googlenet.HEAD_LAYERS


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """Give a file of weights of the small network, all of them one half."""
    network = build(1000)
    layers = {
        layer.name: [np.full_like(weight, 0.5) for weight in layer.get_weights()]
        for layer in network.layers
        if layer.weights and layer.name != "logits"
    }
    path = tmp_path / "small.weights.h5"
    wanted = RECIPE.input.resolved(32, None)
    store.save(path, Weights("small", wanted, "a test", layers))
    return path


def test_transfer_keeps_what_is_frozen_and_trains_the_new_head(tmp_path: Path, task: Task, imported: Path) -> None:
    recipe = Recipe.model_validate({
        **RECIPE.model_dump(), "epochs": 2,
        "transfer": {"pretrained": imported, "head_rate": 10,
                     "unfreeze": [{"epoch": 1, "layer": "logits"}, {"epoch": 2, "layer": "conv2"}]},
    })  # fmt: skip
    network, rows = run(task, recipe, tmp_path / "run")
    assert len(rows) == 2
    assert (network.get_layer("conv1").get_weights()[0] == 0.5).all()
    assert network.get_layer("logits").output.shape == (None, 3)
    with np.load(tmp_path / "run" / checkpoint.NAME) as arrays:
        last = {variable.path: arrays[f"model/{i}"] for i, variable in enumerate(built(task, recipe).variables)}
    assert (last["conv1/kernel"] == 0.5).all() and (last["conv2/kernel"] != 0.5).any()


def test_batch_normalisation_follows_the_recipe(task: Task) -> None:
    assert built(task, RECIPE.changed({"batch_norm_momentum": 0.5})).get_layer("norm").momentum == 0.5
    assert built(task, RECIPE).get_layer("norm").momentum == 0.99


def test_freezing_without_pretrained_weights_is_refused(tmp_path: Path, task: Task) -> None:
    recipe = RECIPE.model_dump() | {"transfer": {"unfreeze": [{"epoch": 1, "layer": "logits"}]}}
    with pytest.raises(Usage, match="names no pretrained weights"):
        run(task, Recipe.model_validate(recipe), tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transfer": {"unfreeze": [{"epoch": 1, "layer": "logits"}]}}, "names no pretrained weights"),
        ({"transfer": {"pretrained": "small", "unfreeze": [{"epoch": 1, "layer": "conv9"}]}}, "which small does not"),
        (
            {"transfer": {"pretrained": "small"}, "network": "googlenet", "width": 0.1},
            "weights of small, not",
        ),
        ({"class_weights": {"normal": 1}}, "the recipe weighs normal"),
        ({"network": "googlenet", "width": 0.05, "auxiliary": True}, "googlenet is not built so for pictures of 60"),
    ],
)
def test_what_does_not_fit_together_is_said_without_pictures(
    imported: Path, changes: dict[str, Any], words: str
) -> None:
    if "pretrained" in changes.get("transfer", {}):
        changes = changes | {"transfer": changes["transfer"] | {"pretrained": imported}}
    wanted = RECIPE.input.resolved(60, None)
    with pytest.raises(Usage, match=words):
        check(
            Task(Samples(), Samples(), LABELS, wanted, drawn=False),
            Recipe.model_validate(RECIPE.model_dump() | changes),
        )


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, task: Task) -> None:
    run(task, RECIPE.changed({"epochs": 1}), tmp_path / "run")
    with pytest.raises(Usage, match="the checkpoint is of another network or optimizer"):
        run(task, RECIPE.changed({"optimizer.name": "sgd"}), tmp_path / "run")


def test_a_validation_loss_that_is_no_number_stops_it(
    tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "nll", lambda logits, labels: np.inf)
    with pytest.raises(Permanent, match="on the validation part after epoch 1; no epoch was finished") as caught:
        run(task, RECIPE, tmp_path / "run")
    assert caught.value.reason is Reason.NOT_A_NUMBER
    assert not (tmp_path / "run" / checkpoint.NAME).exists()


@pytest.mark.parametrize("value", [np.inf, 3e38])
def test_logits_out_of_all_bounds_are_judged_without_a_warning(task: Task, value: float) -> None:
    model = built(task, RECIPE)
    model.get_layer("logits").set_weights([np.zeros((8, 3)), np.array([value, -value, 0])])
    loss, _ = _judge(model, Batches(task.validation, task.input, 3, 4, 1, None))()
    assert not np.isfinite(loss) if value == np.inf else loss == pytest.approx(3e38)


@pytest.mark.parametrize("batch_norm", ["kept", "learnt"])
def test_what_the_recipe_says_comes_to_where_it_acts(
    tmp_path: Path, task: Task, imported: Path, monkeypatch: pytest.MonkeyPatch, batch_norm: str
) -> None:
    told: dict[str, object] = {}

    def total(targets: object, outputs: object, weights: tf.Tensor, smoothing: float) -> tf.Tensor:
        told.update(weights=weights, smoothing=smoothing)
        return losses_total(targets, outputs, weights, smoothing)

    def groups(model: keras.Model, new: list[str], how: object, factor: float) -> rates.Groups:
        told.update(new=new, factor=factor)
        return rates_groups(model, new, how, factor)

    losses_total, rates_groups = losses.total, rates.Groups
    monkeypatch.setattr(losses, "total", total)
    monkeypatch.setattr(rates, "Groups", groups)
    recipe = Recipe.model_validate({
        **RECIPE.model_dump(), "epochs": 1, "smoothing": 0.2,
        "class_weights": {"normal": 1, "fracture": 2, "dislocation": 3},
        "transfer": {"pretrained": imported, "head_rate": 10, "batch_norm": batch_norm},
    })  # fmt: skip
    network, _ = run(task, recipe, tmp_path / "run")
    assert (told["new"], told["factor"], told["smoothing"]) == (["logits"], 10, 0.2)
    assert told["weights"].numpy().tolist() == [1, 2, 3]
    assert all((array == 0.5).all() for array in network.get_layer("norm").get_weights()) == (batch_norm == "kept")
    assert (network.get_layer("conv1").get_weights()[0] != 0.5).any()
