"""Local response normalisation against ten lines of numpy, value and gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.lrn import LRN

X = np.random.default_rng(0).normal(0, 40, (2, 3, 3, 12)).astype(np.float32)


def reference(x: np.ndarray, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> np.ndarray:
    """Normalise as Caffe's documentation says: (k + alpha / n * sum of squares) ** beta over n channels."""
    out = np.empty_like(x)
    channels = x.shape[-1]
    for c in range(channels):
        first, last = max(0, c - size // 2), min(channels, c + size // 2 + 1)
        total = np.square(x[..., first:last].astype(np.float64)).sum(-1)
        out[..., c] = x[..., c] / (k + alpha / size * total) ** beta
    return out


@pytest.mark.parametrize("options", [{}, {"size": 3, "alpha": 1e-2}, {"beta": 0.5}])
def test_value_is_caffes(options: dict[str, float]) -> None:
    np.testing.assert_allclose(LRN(**options)(X), reference(X, **options), rtol=1e-5, atol=1e-5)


def test_value_is_tensorflows_with_the_right_arguments() -> None:
    theirs = tf.nn.local_response_normalization(X, depth_radius=2, bias=1.0, alpha=2e-5, beta=0.75)
    np.testing.assert_allclose(LRN()(X), theirs, rtol=1e-5, atol=1e-5)


def test_value_is_the_papers_with_its_constants() -> None:
    """Krizhevsky et al., section 3.3: k = 2, n = 5, alpha = 1e-4 over the plain sum, beta = 0.75."""
    ours = LRN(alpha=5e-4, k=2)(X)
    total = sum(np.pad(X.astype(np.float64) ** 2, ((0, 0),) * 3 + ((2, 2),))[..., i : i + 12] for i in range(5))
    np.testing.assert_allclose(ours, X / (2 + 1e-4 * total) ** 0.75, rtol=1e-5, atol=1e-5)
    theirs = tf.nn.local_response_normalization(X, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("beta", "k"), [(0.75, 1), (0.5, 1), (0.75, 2)])
def test_gradient_is_that_of_the_naive_form(beta: float, k: float) -> None:
    layer = LRN(alpha=1e-2, beta=beta, k=k)
    layer(X)
    weight = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
    x = tf.constant(X)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = tf.reduce_sum(layer(x) * weight)
        band = tf.constant(np.abs(np.subtract.outer(range(12), range(12))) <= 2, tf.float32)
        naive = tf.reduce_sum(x / (k + 1e-2 / 5 * tf.square(x) @ band) ** beta * weight)
    np.testing.assert_allclose(tape.gradient(ours, x), tape.gradient(naive, x), rtol=2e-4, atol=1e-6)


def test_it_computes_in_float32_under_a_mixed_policy() -> None:
    output = LRN()(tf.cast(X, tf.bfloat16))
    assert output.dtype == tf.float32


def test_it_comes_back_from_its_config() -> None:
    again = keras.layers.deserialize(keras.layers.serialize(LRN(size=3, alpha=0.5, k=2, name="norm")))
    assert (again.size, again.alpha, again.beta, again.k, again.name) == (3, 0.5, 0.75, 2, "norm")
