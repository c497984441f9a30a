"""Out of distribution: the distance, what it is stored as, where it is cut."""

import numpy as np
import pytest
import tensorflow as tf

from cspine.errors import Permanent
from cspine.reasons import Reason
from models import ood

RNG = np.random.default_rng(8)
MIX = RNG.normal(size=(6, 20))


def sample(n: int, seed: int) -> np.ndarray:
    """Draw features that vary in six directions and, less, in all twenty."""
    rng = np.random.default_rng(seed)
    return (5 + rng.normal(size=(n, 6)) @ MIX + 0.3 * rng.normal(size=(n, 20))).astype(np.float32)


def test_features_are_means_and_deviations_of_channels() -> None:
    activation = RNG.normal(2, 3, (4, 7, 7, 5)).astype(np.float32)
    found = ood.features([tf.constant(activation), tf.constant(activation[..., :2])]).numpy()
    assert found.shape == (4, 14)
    np.testing.assert_allclose(found[:, :5], activation.mean((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(found[:, 5:10], activation.std((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(found[:, 10:12], found[:, :2], rtol=1e-6)


def test_the_training_kind_scores_about_one() -> None:
    arrays = ood.fit(sample(600, 1))
    assert ood.score(sample(600, 2), arrays).numpy().mean() == pytest.approx(1, abs=0.15)


def test_a_stranger_is_told_though_no_single_feature_is_odd() -> None:
    own = sample(600, 1)
    arrays = ood.fit(own)
    limit = ood.threshold(ood.score(sample(600, 2), arrays).numpy())
    shuffled = np.stack([RNG.permutation(column) for column in own.T], 1)  # each feature as usual, together never
    assert (ood.score(shuffled, arrays).numpy() > limit).mean() > 0.95
    assert (ood.score(sample(600, 3), arrays).numpy() > limit).mean() < 0.05


def test_constant_features_give_finite_scores() -> None:
    arrays = ood.fit(np.ones((40, 8), np.float32))
    assert np.isfinite(ood.score(np.zeros((3, 8), np.float32), arrays)).all()


def test_arrays_are_float16_and_threshold_accepts_its_share() -> None:
    assert {array.dtype for array in ood.fit(sample(100, 1)).values()} == {np.dtype(np.float16)}
    scores = np.arange(100, dtype=np.float32)
    assert (scores <= ood.threshold(scores)).mean() >= 0.98


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, 7e4])
def test_features_of_a_diverged_network_are_refused(value: float) -> None:
    features = sample(40, 1)
    features[3, 2] = value
    with pytest.raises(Permanent) as caught:
        ood.fit(features)
    assert caught.value.reason is Reason.NOT_A_NUMBER
