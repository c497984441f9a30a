"""What every runtime gives: a release in memory that answers batches of pictures."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cspine.card import Card
from cspine.errors import Permanent
from cspine.reasons import Reason

LARGEST_BATCH = 32
OUTPUTS = ("logits", "probabilities", "explained", "saliency", "ood_score")
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Prediction:
    """The answers for n pictures, in their order."""

    logits: Floats  # (n, classes)
    probabilities: Floats  # (n, classes), after temperature scaling
    explained: NDArray[np.int32]  # (n,) the label that `saliency` explains
    saliency: Floats  # (n, g, g) signed HiResCAM grid over the network's square input
    ood_score: Floats  # (n,)
    ood: NDArray[np.bool_]  # (n,) unlike the training data


class Release(ABC):
    """A release in memory."""

    runtime: str  # its name, as a person reads it
    card: Card
    identity: str

    @abstractmethod
    def outputs(self, batch: Floats) -> tuple[NDArray, ...]:
        """Return OUTPUTS for at most LARGEST_BATCH pictures, float32 (n, size, size, channels)."""

    def predict(self, batch: Floats) -> Prediction:
        """Analyse float32 (n, size, size, channels) as `preprocessing.to_input` makes it.

        Raises `Permanent` (not_a_number) where the input or an answer is not finite; a network may well turn the one
        into a number that means nothing.
        """
        if not np.isfinite(batch).all():
            raise Permanent("an input of the network is not finite", Reason.NOT_A_NUMBER)
        pieces = [
            self.outputs(np.asarray(batch[i : i + LARGEST_BATCH], np.float32))
            for i in range(0, max(len(batch), 1), LARGEST_BATCH)
        ]
        logits, probabilities, explained, saliency, score = (
            np.concatenate(parts) for parts in zip(*pieces, strict=True)
        )
        if not all(np.isfinite(array).all() for array in (logits, probabilities, saliency, score)):
            raise Permanent("an output of the network is not finite", Reason.NOT_A_NUMBER)
        return Prediction(logits, probabilities, explained, saliency, score, score > self.card.ood.threshold)
