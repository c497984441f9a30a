"""A network so small that its gradients are derived by hand."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ByHand:
    """A 1x1 convolution, ReLU, global average, one dense layer; and its derivatives, written out in NumPy."""

    u: Floats  # (channels, filters)
    c: Floats  # (filters,)
    w: Floats  # (filters, classes)
    b: Floats  # (classes,)

    def __call__(self, x: Any) -> tf.Tensor:
        """From pictures to logits."""
        return self.head(self.activation(x))

    def activation(self, x: Any) -> tf.Tensor:
        return tf.nn.relu(tf.convert_to_tensor(x) @ self.u + self.c)

    def head(self, activation: Any) -> tf.Tensor:
        return tf.reduce_mean(activation, axis=(1, 2)) @ self.w + self.b

    def gradient(self, x: Floats, label: int) -> Floats:
        """dz_k / dx_ijc = sum over f of w_fk / places, where the filter is on, times u_cf."""
        on = (x @ self.u + self.c > 0).astype(np.float32)
        return (on * self.w[:, label]) @ self.u.T / np.float32(x.shape[1] * x.shape[2])

    def as_keras(self, size: int) -> keras.Model:
        """Return the same network in Keras, with a layer named as `models.networks` would name it."""
        inputs = keras.Input((size, size, len(self.u)))
        x = keras.layers.Conv2D(len(self.c), 1, activation="relu", name="block")(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = keras.Model(inputs, keras.layers.Dense(len(self.b), name="logits")(keras.layers.Dropout(0.5)(x)))
        model.set_weights([self.u[None, None], self.c, self.w, self.b])
        return model


@pytest.fixture(scope="session")
def by_hand() -> ByHand:
    rng = np.random.default_rng(3)
    shapes = [(2, 4), (4,), (4, 3), (3,)]
    return ByHand(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))


@pytest.fixture(scope="session")
def pictures() -> Floats:
    """Give three pictures of 4 x 4 with two channels."""
    return np.random.default_rng(4).normal(size=(3, 4, 4, 2)).astype(np.float32)


@pytest.fixture
def labels() -> NDArray[np.int32]:
    return np.array([2, 0, 1], np.int32)
