"""Measures of a classifier, each with its interval and the number of cases behind it."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from cspine.card import Metric

Z95 = 1.959963984540054


def wilson(hits: int, n: int) -> Metric:
    """Return a proportion with its 95 % Wilson interval; without cases the interval is 0 to 1."""
    if n == 0:
        return Metric(value=0.0, low=0.0, high=1.0, n=0)
    p, z2 = hits / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return Metric(value=p, low=max(0.0, middle - half), high=min(1.0, middle + half), n=n)


def proportion(hits: NDArray[np.bool_]) -> Metric:
    """Return the share of true values with its interval."""
    return wilson(int(np.sum(hits)), len(hits))


def nll(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood of labels (n,) under logits (n, classes)."""
    return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean())


def temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the temperature that makes validation logits fit best by likelihood (Guo et al. 2017)."""
    found = minimize_scalar(lambda log_t: nll(logits, labels, math.exp(log_t)), bounds=(-2.5, 2.5), method="bounded")
    best = math.exp(found.x)
    return best if nll(logits, labels, best) <= nll(logits, labels) else 1.0


def flag_threshold(suspicion: NDArray[np.float32], abnormal: NDArray[np.bool_], sensitivity: float = 0.98) -> float:
    """Return the highest flag threshold at which validation data keep a sensitivity, within 0.05 and 0.5.

    `suspicion` is 1 - p(normal). Above 0.5 a threshold would flag less than the label itself does.
    """
    sick = np.sort(suspicion[abnormal])
    allowed = math.floor((1 - sensitivity) * len(sick))
    return float(np.clip(math.floor(sick[allowed] * 1e4) / 1e4, 0.05, 0.5))
