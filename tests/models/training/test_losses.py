"""Losses of known answers."""

import numpy as np
import pytest
import tensorflow as tf

from cspine.errors import Usage
from models.training.losses import class_weights, crossentropy, lesion_loss, total
from models.training.recipe import Recipe

ONES = tf.ones(3)
TARGET = np.eye(3, dtype=np.float32)


def test_crossentropy_of_even_odds_and_of_a_certain_answer() -> None:
    assert crossentropy(TARGET, tf.zeros((3, 3)), ONES, 0.1).numpy() == pytest.approx(np.log(3))
    assert crossentropy(TARGET, 50.0 * TARGET, ONES, 0).numpy() == pytest.approx(0, abs=1e-6)
    assert crossentropy(TARGET, 50.0 * TARGET, ONES, 0.3).numpy() == pytest.approx(0.2 * 50)


def test_a_class_counts_as_much_as_it_weighs() -> None:
    found = crossentropy(TARGET, tf.zeros((3, 3)), tf.constant([1.0, 2.0, 0.5]), 0).numpy()
    assert found == pytest.approx(np.log(3) * np.array([1, 2, 0.5]))


def test_balanced_weights_give_each_class_the_same_sum() -> None:
    labels = [0, 0, 0, 0, 1, 1, 2, 2]
    weights = class_weights(Recipe(class_weights="balanced"), labels, "nfd").numpy()
    assert weights == pytest.approx([8 / 12, 8 / 6, 8 / 6])
    assert weights[labels].sum() == pytest.approx(len(labels))
    assert class_weights(Recipe(), labels, "nfd").numpy().tolist() == [1, 1, 1]
    own = Recipe(class_weights={"d": 3, "n": 1, "f": 2})
    assert class_weights(own, labels, "nfd").numpy().tolist() == [1, 2, 3]
    with pytest.raises(Usage, match="the recipe weighs a, b; the labels are n, f, d"):
        class_weights(Recipe(class_weights={"a": 1, "b": 1}), labels, "nfd")


def test_auxiliary_heads_count_three_tenths_each_and_the_map_in_full() -> None:
    zeros = tf.zeros((3, 3))
    outputs = {"logits": zeros, "auxiliary_1": zeros, "auxiliary_2": zeros}
    assert float(total({"logits": TARGET}, outputs, ONES, 0)) == pytest.approx(1.6 * np.log(3))
    with_map = {"logits": zeros, "lesion_map": tf.zeros((3, 2, 2, 3))}
    targets = {"logits": TARGET, "lesion_map": np.zeros((3, 2, 2, 3), np.float32)}
    assert float(total(targets, with_map, ONES, 0)) == pytest.approx(np.log(3) + 10 * np.log(2))


def test_lesion_loss_of_known_maps() -> None:
    """Even odds cost ln 2 a cell, a cell of lesion nine times as much; the whole counts tenfold."""
    target = np.zeros((1, 2, 2, 1), np.float32)
    assert float(lesion_loss(target, target)[0]) == pytest.approx(10 * np.log(2))
    target[0, 0, 0, 0] = 1
    assert float(lesion_loss(target, np.zeros_like(target))[0]) == pytest.approx(10 * np.log(2) * (3 + 9) / 4)
