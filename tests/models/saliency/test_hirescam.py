"""HiResCAM on functions whose gradient is known by hand."""

import numpy as np
import tensorflow as tf

from models.saliency import hirescam

X = np.random.default_rng(3).normal(size=(2, 4, 5, 3)).astype(np.float32)


def test_of_a_linear_function_it_is_weight_times_activation() -> None:
    weight = np.random.default_rng(4).normal(size=(4, 5, 3, 2)).astype(np.float32)

    def linear(x: tf.Tensor) -> tf.Tensor:
        return tf.einsum("nrcd,rcdk->nk", x, weight) + 7.0

    found = hirescam.explain(linear, X, np.array([0, 1])).numpy()
    by_hand = np.stack([(X[0] * weight[..., 0]).sum(-1), (X[1] * weight[..., 1]).sum(-1)])
    np.testing.assert_allclose(found, by_hand, rtol=1e-5, atol=1e-6)
    # All of the logit but its bias is in the map
    np.testing.assert_allclose(found.sum((1, 2)), linear(X).numpy()[[0, 1], [0, 1]] - 7, rtol=1e-4)


def test_of_a_product_it_follows_the_gradient_at_the_point() -> None:
    """For f = sum(x ** 3) the gradient is 3 x ** 2, so the map is the sum of 3 x ** 3 over channels."""

    def cubes(x: tf.Tensor) -> tf.Tensor:
        total = tf.reduce_sum(x**3, axis=(1, 2, 3))
        return tf.stack([total, -total], axis=1)

    np.testing.assert_allclose(hirescam.explain(cubes, X, np.array([0, 0])), (3 * X**3).sum(-1), rtol=1e-4)
    np.testing.assert_allclose(hirescam.explain(cubes, X, np.array([1, 1])), -(3 * X**3).sum(-1), rtol=1e-4)


def test_of_pooling_and_one_layer_it_is_class_activation_mapping() -> None:
    weight = np.random.default_rng(5).normal(size=(3, 2)).astype(np.float32)
    found = hirescam.explain(lambda x: tf.reduce_mean(x, (1, 2)) @ weight, X, np.array([1, 1]))
    np.testing.assert_allclose(found, X @ weight[:, 1] / 20, rtol=1e-4, atol=1e-6)
