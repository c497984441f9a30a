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
