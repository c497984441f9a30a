"""Cascading parameter randomisation (Adebayo et al. 2018): a map must not outlive what the network has learnt.

The weights are drawn anew from the logits down, layer by layer. Pass rule of Arun et al. 2021: with all of them drawn
anew, a map must be less like the trained network's map of the same picture than maps of different pictures are alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np
from numpy.typing import NDArray

from models.saliency.explainer import Explainer
from models.saliency.similarity import shown, spearman, ssim

Floats = NDArray[np.float32]
PAIRS = 50


@dataclass(frozen=True)
class Stage:
    """Maps with the weights from the logits down to one layer drawn anew, against the trained network's; means."""

    layer: str
    ssim: float
    spearman: float  # of signed values
    spearman_abs: float  # of absolute values


@dataclass(frozen=True)
class Cascade:
    """What became of a method's maps, and the likeness that it must fall below."""

    stages: tuple[Stage, ...]
    pairs_ssim: float

    @property
    def passed(self) -> bool:
        """Say whether the maps depend on what was learnt."""
        return self.stages[-1].ssim < self.pairs_ssim


class Scrambled:
    """A copy of a trained network whose weights are drawn anew, some more at a time; what is compiled is kept."""

    def __init__(
        self, network_name: str, network: keras.Model, head: Mapping[str, Floats] | None = None, seed: int = 0
    ) -> None:
        """Copy the network, and draw a supervised head anew, which stands beside the logits."""
        keras.utils.set_random_seed(seed)
        self._network, self._clone = network, keras.models.clone_model(network)
        self.layers = [layer.name for layer in reversed(self._clone.layers) if layer.weights]
        self._fresh = {name: self._clone.get_layer(name).get_weights() for name in self.layers}
        rng = np.random.default_rng(seed)
        redrawn = {
            name: rng.normal(0, array.std() or 1, array.shape).astype(np.float32)
            for name, array in (head or {}).items()
        }
        self.explainer = Explainer(network_name, self._clone, redrawn or None)

    def reset(self) -> None:
        """Take the trained weights."""
        self._clone.set_weights(self._network.get_weights())

    def scramble(self, layers: Sequence[str]) -> None:
        """Draw the weights of some layers anew, as they are before any training."""
        for name in layers:
            self._clone.get_layer(name).set_weights(self._fresh[name])


def cascade(
    trained: Explainer, scrambled: Scrambled, method: str, batch: Floats, labels: NDArray[np.int32], points: int = 6
) -> Cascade:
    """Draw the weights anew from the logits down and compare the maps at some points, the last of them at the bottom.

    Parameters
    ----------
    trained, scrambled
        The network, and its copy.
    batch, labels
        Pictures (n, size, size, channels) and the label to explain of each; n at least 2.
    points
        How many, evenly over the layers that have weights.
    """
    before = trained.explain(method, batch, labels)
    scrambled.reset()
    stages = []
    for start, end in pairwise(np.linspace(0, len(scrambled.layers), points + 1).round().astype(int)):
        scrambled.scramble(scrambled.layers[start:end])
        now = scrambled.explainer.explain(method, batch, labels)
        stages.append(_compare(scrambled.layers[end - 1], before, now))
    return Cascade(tuple(stages), pairs_ssim(before))


def pairs_ssim(maps: Floats, seed: int = 0) -> float:
    """Return the mean likeness of random pairs of maps (n, g, g) of different pictures."""
    rng, pictures = np.random.default_rng(seed), [shown(grid) for grid in maps]
    pairs = [rng.choice(len(maps), 2, replace=False) for _ in range(PAIRS)]
    return float(np.mean([ssim(pictures[i], pictures[j]) for i, j in pairs]))


def _compare(layer: str, trained: Sequence[Floats], now: Sequence[Floats]) -> Stage:
    couples = list(zip(trained, now, strict=True))
    return Stage(
        layer,
        float(np.mean([ssim(shown(a), shown(b)) for a, b in couples])),
        float(np.mean([spearman(a, b) for a, b in couples])),
        float(np.mean([spearman(np.abs(a), np.abs(b)) for a, b in couples])),
    )
