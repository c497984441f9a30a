"""Measures against their closed forms."""

import numpy as np
import pytest

from models import metrics

RNG = np.random.default_rng(2)


def test_wilson_of_a_known_case() -> None:
    found = metrics.wilson(306, 307)
    assert (found.value, found.low, found.high) == pytest.approx((0.99674, 0.98178, 0.99942), abs=1e-4)


def test_wilson_at_the_ends() -> None:
    assert metrics.wilson(0, 10).low == 0
    assert metrics.wilson(10, 10).high == pytest.approx(1)
    assert (metrics.wilson(0, 0).low, metrics.wilson(0, 0).high) == (0, 1)


def test_temperature_undoes_a_known_one() -> None:
    labels = RNG.integers(0, 3, 4000)
    honest = RNG.normal(size=(4000, 3)).astype(np.float32)
    honest -= honest.max(1, keepdims=True)
    probability = np.exp(honest) / np.exp(honest).sum(1, keepdims=True)
    labels = np.array([RNG.choice(3, p=p / p.sum()) for p in probability.astype(float)])
    found = metrics.temperature(honest * 2.5, labels)
    assert found == pytest.approx(2.5, rel=0.15)
    assert metrics.nll(honest * 2.5, labels, found) <= metrics.nll(honest * 2.5, labels)


def test_flag_threshold_keeps_the_sensitivity_and_stays_in_its_range() -> None:
    suspicion = np.concatenate([np.linspace(0.2, 1, 100), np.linspace(0, 0.3, 100)]).astype(np.float32)
    abnormal = np.arange(200) < 100
    found = metrics.flag_threshold(suspicion, abnormal)
    assert (suspicion[abnormal] >= found).mean() >= 0.98
    assert (suspicion[abnormal] >= found + 0.02).mean() < 0.98
    assert metrics.flag_threshold(np.ones(10, np.float32), np.ones(10, bool)) == 0.5
    assert metrics.flag_threshold(np.zeros(10, np.float32), np.ones(10, bool)) == 0.05


def test_decisions_of_one_against_the_rest_look_better_than_answers() -> None:
    accuracy = metrics.wilson(298, 300)
    for figure in (metrics.accuracy_ovr_micro(accuracy, 3), metrics.specificity_ovr_micro(accuracy, 3)):
        assert figure.low < figure.value < figure.high
        assert figure.low > accuracy.low
        assert figure.n == 300


def test_area_under_the_curve_of_known_scores() -> None:
    sick = np.array([False, False, True, True])
    assert metrics.auc(np.array([0.1, 0.4, 0.35, 0.8]), sick).value == 0.75
    assert metrics.auc(np.array([0, 0, 1, 1.0]), sick).value == 1
    tied = metrics.auc(np.zeros(4), sick)
    assert (tied.value, tied.low, tied.high, tied.n) == (0.5, 0.5, 0.5, 4)


def test_groups_widen_the_interval() -> None:
    """Twenty pictures of each of ten patients say no more than ten pictures do."""
    rng = np.random.default_rng(0)
    sick, scores = np.arange(10) % 2 == 1, rng.normal(0, 1, 10) + (np.arange(10) % 2)
    many = metrics.auc(np.tile(scores, 20), np.tile(sick, 20))
    grouped = metrics.auc(np.tile(scores, 20), np.tile(sick, 20), np.tile(np.arange(10), 20))
    assert grouped.value == many.value
    assert grouped.high - grouped.low > 2 * (many.high - many.low)


def test_calibration_error_of_known_confidences() -> None:
    """Ten answers of 0.8 of which six are right, and ten sure ones, all right: half of them are off by 0.2."""
    probabilities = np.array([[0.8, 0.2]] * 10 + [[1.0, 0.0]] * 10)
    labels = np.array([0] * 6 + [1] * 4 + [0] * 10)
    assert metrics.calibration_error(probabilities, labels).value == pytest.approx(0.1)
