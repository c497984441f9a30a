"""Saliency maps in words and numbers: the methods there are, and whether a map lies on the film's borders.

The methods themselves are in `models.saliency`; pages and records name them by the keys of this table.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cspine.preprocessing import Geometry

DEFAULT = "hirescam"  # made for every image in the pass that gives the answer
CAUTION = "Not a localisation."
LESION_MAP_FILE = "lesion_map.npz"  # of a release that keeps the supervised head of its training
BORDER = 0.1  # of the picture's height and width, on each side
LEAST_CELLS = 5  # along a side, for the border to be told from the middle
BORDER_SHARE = 0.5  # of a map's positive mass, from which the border speaks for the answer


@dataclass(frozen=True)
class Method:
    """A way to explain an answer."""

    title: str
    acts_on: Literal["layer", "input"]  # a map has a value for each cell of a layer, or for each pixel of the input
    cost: Literal["one pass", "tens of passes", "hundreds of passes"]
    words: str
    supervised: bool = False  # it was taught where lesions are; the others say only what the answer rests on


METHODS = {
    "hirescam": Method("HiResCAM", "layer", "one pass", "gradient times activation, in the middle of the network"),
    "gradcam": Method("Grad-CAM", "layer", "one pass", "activation weighted by its mean gradient"),
    "cam": Method("Class activation", "layer", "one pass", "what each place of the last block adds to the answer"),
    "gradient": Method("Gradient", "input", "one pass", "how much the answer changes with each pixel"),
    "smoothgrad": Method("SmoothGrad", "input", "tens of passes", "mean gradient of noisy copies"),
    "integrated_gradients": Method(
        "Integrated gradients", "input", "tens of passes", "gradients on the way from a blank picture"
    ),
    "occlusion": Method("Occlusion", "input", "hundreds of passes", "how much the answer loses where it is covered"),
    "lesion_map": Method(
        "Lesion map (supervised)", "layer", "one pass", "a head that was taught where lesions are", supervised=True
    ),
}

AVERAGING = frozenset({"googlenet", "mobilenet_v2"})  # networks whose head averages and adds, as class activation needs


def offered(network: str, *, lesion_head: bool) -> dict[str, Method]:
    """Return the methods that a network allows, with or without the supervised head of its training."""
    lacking = {"cam": network not in AVERAGING, "lesion_map": not lesion_head}
    return {name: method for name, method in METHODS.items() if not lacking.get(name)}


def border_share(grid: NDArray[np.float32], place: Geometry, size: int) -> float:
    """Return the share of a map's positive mass that lies in the outer tenth of the picture, or beside it.

    `grid` is (g, g) over the network's square of `size` pixels, in which the picture lies where `place` says. A cell
    that is partly inside counts by its area. The share is 0 where a map has no positive value, or so few cells that
    each of them holds a part of the border and of the middle.
    """
    if min(grid.shape) < LEAST_CELLS:
        return 0.0
    rows = _inside(grid.shape[0], size, place.top, place.height)
    columns = _inside(grid.shape[1], size, place.left, place.width)
    positive = np.maximum(np.asarray(grid, np.float64), 0.0)
    mass = float(positive.sum())
    return 1.0 - float(rows @ positive @ columns) / mass if mass > 0 else 0.0


def _inside(cells: int, size: int, start: int, length: int) -> NDArray[np.float64]:
    """Return for each cell the share of it that lies inside the borders, along one side."""
    edges = np.linspace(0.0, size, cells + 1)
    low, high = start + BORDER * length, start + (1 - BORDER) * length
    covered: NDArray[np.float64] = np.clip(edges[1:], low, high) - np.clip(edges[:-1], low, high)
    return covered * cells / size
