"""What each saliency method costs, in forward passes of one picture: `python -m tests.bench.saliency`.

The forward pass is measured by turns with the methods, so that what else the machine does meets all alike.
"""

import argparse
import os
import sys
from statistics import median

import numpy as np

from models.networks import NETWORKS
from models.saliency.explainer import Explainer
from models.saliency.head import Head
from tests.bench.networks import CLASSES, pictures, seconds

NETWORK = "googlenet"


def costs(explainer: Explainer, batch: np.ndarray, turns: int) -> dict[str, tuple[float, float]]:
    """Return for each method its seconds a picture and its cost in forward passes, medians over the turns."""
    labels = np.zeros(len(batch), np.int32)
    spent: dict[str, list[float]] = {name: [] for name in explainer.methods}
    passes: dict[str, list[float]] = {name: [] for name in explainer.methods}
    for _ in range(turns):
        for name in explainer.methods:
            forward = seconds(lambda: explainer.logits(batch), 10)
            taken = seconds(lambda: explainer.explain(name, batch, labels))  # noqa: B023
            spent[name].append(taken / len(batch))
            passes[name].append(taken / forward)
    return {name: (median(spent[name]), median(passes[name])) for name in explainer.methods}


def untrained(width: float = 1.0, size: int = 224) -> Explainer:
    """Return GoogLeNet with a lesion-map head, its weights drawn at random."""
    network = NETWORKS[NETWORK].build(CLASSES, width=width, size=size)
    channels = network.get_layer(NETWORKS[NETWORK].SALIENCY_LAYER).output.shape[-1]
    head: Head = {"kernel": np.ones((channels, CLASSES), np.float32), "bias": np.zeros(CLASSES, np.float32)}
    return Explainer(NETWORK, network, head)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    chosen = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    explainer = untrained()
    batch = pictures(NETWORKS[NETWORK].build(CLASSES), 1)
    print("\nSaliency, GoogLeNet by TensorFlow, one picture, medians: milliseconds, and forward passes of that picture")
    for name, (taken, passes) in costs(explainer, batch, chosen.turns).items():
        print(f"  {name:22} {1000 * taken:9.1f} ms {passes:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
