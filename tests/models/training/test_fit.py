"""Training end to end on a network of a few thousand weights."""

import json
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from cspine import releases
from cspine.card import Card
from models import googlenet
from models.training.data import Samples
from models.training.fit import Recipe, fit, lesion_loss, policy
from tests.models.conftest import WANTED, WIDTH


def test_a_tiny_training_writes_a_whole_release(tiny: tuple[Path, Card], output: list[str]) -> None:
    folder, card = tiny
    assert releases.verify(folder) == []
    assert card.demo and "drawings" in card.limits
    assert (card.name, card.width, card.input) == ("tiny", WIDTH, WANTED)
    assert card.metrics["accuracy"].n == 12
    assert {"baseline_logistic_32x32", "saliency_hit", "saliency_hit_of_centre"} <= set(card.metrics)
    assert (folder / "ood.npz").stat().st_size < 2**20


def test_the_training_says_how_it_goes(tiny: tuple[Path, Card], output: list[str]) -> None:
    assert "pictures: 24 for training, 12 for validation, 12 for test" in output
    losses = [float(found[1]) for line in output if (found := re.match(r"epoch ./2: loss ([0-9.]+), validation", line))]
    assert len(losses) == 2
    assert losses[1] < losses[0]
    assert any(line.startswith("accuracy: ") for line in output)


def test_the_released_network_has_no_training_heads_and_no_optimiser(tiny: tuple[Path, Card]) -> None:
    network = keras.saving.load_model(tiny[0] / "model.keras")
    assert network.count_params() == googlenet.build(3, width=WIDTH, channels=1, size=64).count_params()
    with zipfile.ZipFile(tiny[0] / "model.keras") as archive:
        assert not json.loads(archive.read("config.json")).get("compile_config")
    assert {layer.dtype_policy.name for layer in network.layers} == {"float32"}


def build_small(
    classes: int, width: float, channels: int, size: int, lesion_map: int = 0, auxiliary: bool = False
) -> keras.Model:
    """Build one convolution and one dense layer in the shape of a network's file."""
    inputs = keras.Input((size, size, channels))
    x = keras.layers.Conv2D(2, 3, 4, activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, dtype="float32", name="logits")(x))


def test_without_drawn_lesions_class_labels_alone_train(samples: Samples) -> None:
    plain = Samples(pictures=samples.pictures, labels=samples.labels)
    recipe = Recipe(epochs=1, batch=4, bfloat16=True)
    network = fit(SimpleNamespace(build=build_small), recipe, plain, plain, WANTED, 3, lambda *_: None)
    assert network.output.shape == (None, 3)
    assert {layer.dtype_policy.name for layer in network.layers} == {"float32"}
    assert all(np.isfinite(weight).all() for weight in network.get_weights())


def test_the_policy_is_put_back() -> None:
    with pytest.raises(RuntimeError), policy("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise RuntimeError
    assert keras.config.dtype_policy().name == "float32"


def test_lesion_loss_of_known_maps() -> None:
    """Even odds cost ln 2 a cell, a cell of lesion nine times as much; the whole counts tenfold."""
    target = np.zeros((1, 2, 2, 1), np.float32)
    assert float(lesion_loss(target, target)[0]) == pytest.approx(10 * np.log(2))
    target[0, 0, 0, 0] = 1
    assert float(lesion_loss(target, np.zeros_like(target))[0]) == pytest.approx(10 * np.log(2) * (3 + 9) / 4)
