"""The methods against derivatives written by hand, brute force, and what each must be by its definition."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cspine import saliency
from models import googlenet
from models.saliency import (
    METHODS,
    cam,
    gradcam,
    gradient,
    hirescam,
    integrated_gradients,
    lesion_map,
    occlusion,
    smoothgrad,
)
from models.saliency.explainer import Explainer
from tests.models.saliency.conftest import ByHand, Floats


def test_every_method_is_described_and_none_is_guided() -> None:
    assert set(METHODS) == set(saliency.METHODS)
    assert saliency.DEFAULT in METHODS
    assert not any("guided" in name for name in METHODS)
    for name, method in saliency.METHODS.items():
        assert method.supervised is (name == "lesion_map")
        assert ("supervised" in method.title) is method.supervised


def test_the_gradient_is_the_one_derived_by_hand(by_hand: ByHand, pictures: Floats, labels: Floats) -> None:
    expected = [np.abs(by_hand.gradient(pictures[i : i + 1], k)).max(-1)[0] for i, k in enumerate(labels)]
    np.testing.assert_allclose(gradient.explain(by_hand, pictures, labels), expected, rtol=1e-5)


def test_hirescam_is_gradient_times_activation_by_hand(by_hand: ByHand, pictures: Floats, labels: Floats) -> None:
    activation = by_hand.activation(pictures).numpy()
    expected = np.stack([activation[i] @ by_hand.w[:, k] / 16 for i, k in enumerate(labels)])
    found = hirescam.explain(by_hand.head, activation, labels).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert found.min() < 0 < found.max()
    logits = by_hand(pictures).numpy()[np.arange(3), labels]
    np.testing.assert_allclose(found.sum((1, 2)), logits - by_hand.b[labels], rtol=1e-4, atol=1e-6)


def test_gradcam_weights_channels_by_their_mean_gradient() -> None:
    """z = the sum over places of m_ij * A_ij0 + A_ij1: the mean gradients are mean(m) and 1."""
    m = np.array([[1.0, -3.0], [0.5, 0.5]], np.float32)
    activation = np.random.default_rng(0).normal(size=(1, 2, 2, 2)).astype(np.float32)

    def head(a: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(m * a[..., 0] + a[..., 1], axis=(1, 2))[:, None]

    expected = np.maximum(0, m.mean() * activation[0, :, :, 0] + activation[0, :, :, 1])
    np.testing.assert_allclose(gradcam.explain(head, activation, np.array([0]))[0], expected, rtol=1e-5)
    assert expected.min() == 0 < expected.max()


def test_class_activation_is_the_heads_weights_at_each_place(by_hand: ByHand, pictures: Floats, labels: Floats) -> None:
    activation = by_hand.activation(pictures).numpy()
    expected = np.stack([activation[i] @ by_hand.w[:, k] for i, k in enumerate(labels)])
    np.testing.assert_allclose(cam.explain(by_hand.head, activation, labels), expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def inception() -> tuple[keras.Model, Floats]:
    keras.utils.set_random_seed(5)
    network = googlenet.build(3, width=0.125, channels=1)
    batch = np.random.default_rng(0).normal(size=(2, 224, 224, 1)).astype(np.float32)
    return network, batch


def test_gradcam_is_class_activation_on_googlenet(inception: tuple[keras.Model, Floats]) -> None:
    """At inception_5b, without the auxiliary heads: Grad-CAM = ReLU(CAM) / 49, as the head's weights have it."""
    network, batch = inception
    below = keras.Model(network.inputs[0], network.get_layer("inception_5b").output)
    above = keras.Model(network.get_layer("inception_5b").output, network.outputs[0])
    activation, explainer = below(batch, training=False), Explainer("googlenet", network)
    assert activation.shape[1:3] == (7, 7)
    positive = []
    for label in range(3):
        chosen = np.full(2, label)
        found = gradcam.explain(above, activation, chosen).numpy()
        kernel = network.get_layer("logits").kernel.numpy()
        by_weights = activation.numpy() @ kernel[:, label]
        by_function = explainer.explain("cam", batch, chosen)
        for exact in (by_weights, by_function):
            expected = np.maximum(exact, 0) / 49
            assert np.abs(found - expected).max() <= 1e-5 * expected.max()
        positive.append(expected.max() > 0)
    assert any(positive)


def test_smoothgrad_without_noise_is_the_gradient(by_hand: ByHand, pictures: Floats, labels: Floats) -> None:
    found = smoothgrad.explain(by_hand, pictures, labels, n=11, sigma=0.0)
    np.testing.assert_allclose(found, gradient.explain(by_hand, pictures, labels), rtol=1e-5)


def test_smoothgrad_is_the_mean_gradient_of_noisy_copies(by_hand: ByHand, pictures: Floats, labels: Floats) -> None:
    found = smoothgrad.explain(by_hand, pictures, labels, n=11, sigma=0.3, seed=7)
    noise = np.random.default_rng(7).standard_normal((11, 4, 4, 2), np.float32)
    for i, k in enumerate(labels):
        copies = pictures[i] + 0.3 * np.ptp(pictures[i]) * noise
        expected = np.abs(by_hand.gradient(copies, k).mean(0)).max(-1)
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-6)
    alone = smoothgrad.explain(by_hand, pictures[1:2], labels[1:2], n=11, sigma=0.3, seed=7)
    np.testing.assert_array_equal(alone[0], found[1])
    assert not np.allclose(smoothgrad.explain(by_hand, pictures, labels, n=11, sigma=0.3, seed=8), found)


def test_integrated_gradients_add_up_by_hand() -> None:
    """z = the sum of x^2: on the way from x' the mean gradient is x + x', the map x^2 - x'^2, for any steps."""
    x = np.random.default_rng(1).normal(size=(2, 3, 3, 1)).astype(np.float32)

    def square(pictures: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.square(pictures), axis=(1, 2, 3))[:, None]

    for steps, baseline in ((1, 0.0), (5, 0.0), (5, 0.5), (9, x[0])):
        found = integrated_gradients.explain(square, x, np.zeros(2, int), steps=steps, baseline=baseline)
        expected = x[..., 0] ** 2 - (np.zeros_like(x) + baseline)[..., 0] ** 2
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("power", "points"), [(2, 32), (41, 96), (101, 288), (1001, 288)])
def test_integrated_gradients_refine_themselves_until_they_add_up(power: int, points: int) -> None:
    """z = x^power, whose gradient lies at the end of the way: 32 points miss its sum the more, the greater the power.

    Points that are there are not computed again: all that were seen are the points of the finest way.
    """
    seen: list[float] = []

    def steep(x: tf.Tensor) -> tf.Tensor:
        seen.extend(np.ravel(x))
        return tf.reduce_sum(x**power, axis=(1, 2, 3))[:, None]

    found = integrated_gradients.explain(steep, np.ones((1, 1, 1, 1), np.float32), np.zeros(1, int))
    np.testing.assert_allclose(sorted(seen[2:]), (np.arange(points) + 0.5) / points, atol=1e-6)
    exact = float(found[0, 0, 0])
    assert (abs(exact - 1) <= 0.01) is (power < 1000)


def test_integrated_gradients_are_complete(inception: tuple[keras.Model, Floats]) -> None:
    network, batch = inception
    explainer, labels = Explainer("googlenet", network), np.array([1, 2])
    maps = explainer.explain("integrated_gradients", batch, labels)
    gained = (explainer.logits(batch) - explainer.logits(np.zeros_like(batch)))[np.arange(2), labels]
    assert np.abs(maps.sum((1, 2)) / gained - 1).max() <= 0.01


@pytest.mark.parametrize(("size", "stride", "fill"), [(3, 2, 0.0), (2, 1, -1.5), (4, 3, 0.0)])
def test_occlusion_is_what_covering_by_hand_costs(
    by_hand: ByHand, labels: Floats, size: int, stride: int, fill: float
) -> None:
    pictures = np.random.default_rng(9).normal(size=(3, 7, 7, 2)).astype(np.float32)
    found = occlusion.explain(by_hand, pictures, labels, size=size, stride=stride, fill=fill)
    cells = -(-7 // stride)
    assert found.shape == (3, cells, cells)
    for i, k in enumerate(labels):
        for row in range(cells):
            for column in range(cells):
                top, left = (round((place + 0.5) * 7 / cells - size / 2) for place in (row, column))
                covered = pictures[i].copy()
                for y in range(7):
                    for x in range(7):
                        if top <= y < top + size and left <= x < left + size:
                            covered[y, x] = fill
                lost = by_hand(pictures[i : i + 1])[0, k] - by_hand(covered[None])[0, k]
                assert found[i, row, column] == pytest.approx(float(lost), abs=1e-5)


def test_the_lesion_map_is_the_heads_map_of_the_label(pictures: Floats, labels: Floats) -> None:
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = lesion_map.explain(lambda activation: activation @ kernel, pictures, labels)
    np.testing.assert_allclose(found, np.stack([pictures[i] @ kernel[:, k] for i, k in enumerate(labels)]), rtol=1e-5)


@pytest.fixture(scope="module")
def explainer(by_hand: ByHand) -> Explainer:
    """Give an explainer of the hand-made network, whose block stands for GoogLeNet's saliency layer."""
    network = by_hand.as_keras(4)
    network.get_layer("block").name = googlenet.SALIENCY_LAYER
    head = {"kernel": np.eye(4, 3, dtype=np.float32), "bias": np.zeros(3, np.float32)}
    return Explainer("googlenet", network, head)


@pytest.mark.parametrize("method", METHODS)
def test_a_saturated_softmax_leaves_a_map(method: str, by_hand: ByHand, pictures: Floats) -> None:
    """Logits a thousand times as great: the probability is exactly 1 and its gradient exactly 0."""
    sure = ByHand(by_hand.u, by_hand.c, by_hand.w * 1000, by_hand.b)
    network = sure.as_keras(4)
    network.get_layer("block").name = googlenet.SALIENCY_LAYER
    explainer = Explainer("googlenet", network, {"kernel": np.eye(4, 3, dtype=np.float32), "bias": np.zeros(3)})
    logits = explainer.logits(pictures)
    labels = logits.argmax(1)
    assert (tf.nn.softmax(logits).numpy().max(1) == 1).all()
    assert (np.abs(explainer.explain(method, pictures, labels)).max((1, 2)) > 0).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_picture_gives_a_finite_map(method: str, value: float, explainer: Explainer) -> None:
    maps = explainer.explain(method, np.full((2, 4, 4, 2), value, np.float32), np.array([0, 2]))
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "gradient", "smoothgrad", "integrated_gradients"])
def test_a_gradient_of_zero_gives_a_map_of_zeros(method: str, pictures: Floats) -> None:
    def deaf(x: tf.Tensor) -> tf.Tensor:
        return tf.zeros((len(x), 3))

    np.testing.assert_array_equal(METHODS[method](deaf, pictures, np.array([0, 1, 2])), np.zeros((3, 4, 4)))


def test_many_passes_go_in_chunks_of_eight(by_hand: ByHand, pictures: Floats, labels: Floats) -> None:
    seen: list[int] = []

    def watched(x: tf.Tensor) -> tf.Tensor:
        seen.append(len(x))
        return by_hand(x)

    smoothgrad.explain(watched, pictures, labels, n=20)
    integrated_gradients.explain(watched, pictures, labels, steps=32)
    occlusion.explain(watched, np.zeros((1, 30, 30, 2), np.float32), labels[:1], size=4, stride=2)
    assert max(seen) == 8
