"""From the network's outputs for one picture to what is kept: label, urgency, flags, saliency with its place."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine import preprocessing
from cspine.card import Card
from cspine.reasons import Reason
from cspine.saliency import BORDER_SHARE, DEFAULT, border_share

DIGITS = 4


def answer(card: Card, size: tuple[int, int], probabilities: NDArray[np.float32], explained: int,
           saliency: NDArray[np.float32], ood_score: float, ood: bool) -> dict[str, Any]:  # fmt: skip
    """Return the answer's columns of `Result` (design, section 7).

    `size` is the canonical picture's (h, w); probabilities float32 (classes,), after temperature scaling; saliency
    float32 (g, g), the signed grid over the network's square input.
    """
    shares = {name: float(share) for name, share in zip(card.names, probabilities, strict=True)}
    label = card.names[int(np.argmax(probabilities))]
    suspicion = 1.0 - shares[card.normal_label]
    place = preprocessing.geometry(*size, card.input)
    flags = [Reason.OUT_OF_DISTRIBUTION] if ood else []
    if border_share(saliency, place, card.input.size) >= BORDER_SHARE:
        flags.append(Reason.BORDER_ATTENTION)  # a caution: the study stays in its bucket
    return {
        "label": label,
        "probabilities": shares,
        "urgency": sum(shares[one.name] * one.weight for one in card.labels),
        "flagged": label != card.normal_label or suspicion >= card.thresholds.flag,
        "flags": [flag.value for flag in flags],
        "ood_score": float(ood_score),
        "explained": card.names[explained],
        "saliency": {
            "method": DEFAULT,
            "grid": short(saliency),
            "geometry": asdict(place),
        },
    }


def short(grid: NDArray[np.float32]) -> list[list[float]]:
    """Round to a few significant digits: a grid is a picture, and its rows are kept for every image."""
    return [[float(f"{float(value):.{DIGITS}g}") for value in row] for row in grid]
