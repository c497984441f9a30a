"""A network of a few hundred weights in the shape of a network's file, with all that depends on chance in training."""

from types import SimpleNamespace

import keras
import numpy as np

from cspine.card import Input
from models.layers import lesion_head
from models.training.data import Samples
from models.training.manifest import Record
from models.training.recipe import Recipe

LABELS = ("normal", "fracture", "dislocation")
WANTED = Input(size=32, channels=1)


def build(classes: int, width: float = 1, channels: int = 1, size: int = 32, lesion_map: int = 0) -> keras.Model:
    """Build two convolutions, batch normalisation, dropout and a dense layer."""
    inputs = keras.Input((size, size, channels))
    x = keras.layers.Conv2D(4, 3, 4, activation="relu", name="conv1")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = middle = keras.layers.Conv2D(8, 3, 2, activation="relu", name="conv2")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.3, name="dropout")(x)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(x)
    heads = {"logits": logits, "lesion_map": lesion_head(middle, lesion_map)} if lesion_map else logits
    return keras.Model(inputs, heads, name="small")


SMALL = SimpleNamespace(build=build, HEAD_LAYERS=("logits",), INPUT_SIZE=32)
RECIPE = Recipe(network="small", epochs=4, batch=4, optimizer={"rate": 3e-3}, augmentation={"turn": 5, "noise": 0.05})


def stripes(count: int, seed: int = 0) -> Samples:
    """Give noisy pictures of 40 x 36 pixels that a small network can tell apart: the label is the stripes' distance."""
    rng = np.random.default_rng(seed)
    found = Samples()
    for i in range(count):
        label = i % len(LABELS)
        wave = 60 * np.sin(np.arange(36) * (label + 1) * 0.6 + rng.uniform(0, 6))
        found.pictures.append(np.clip(120 + wave + rng.normal(0, 20, (40, 36)), 0, 255).astype(np.uint8))
        found.labels.append(label)
        found.records.append(Record(f"{i}.png", 0, f"{seed} {i}", f"{seed} {i}", LABELS[label], split="training"))
    return found
