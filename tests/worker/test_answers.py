"""From the network's outputs to what is kept: the rules of the design's section 7, by hand."""

import numpy as np
import pytest

from cspine.card import Card, Input, LabelWeight, OutOfDistribution, Thresholds
from worker.answers import answer

CARD = Card(
    name="a", version="1", network="googlenet", width=1.0, normal_label="normal", input=Input(size=224, channels=1),
    labels=(LabelWeight(name="normal", weight=0), LabelWeight(name="fracture", weight=0.5)), preprocessing="1",
    data_manifest_sha256="0" * 64, metrics={}, thresholds=Thresholds(flag=0.3), temperature=1.0,
    ood=OutOfDistribution(method="mahalanobis", threshold=1.0), intended_use="", limits="", demo=True,
)  # fmt: skip
GRID = np.array([[0.123456, -1.0], [0.0, 2e-7]], np.float32)


@pytest.mark.parametrize(
    ("fracture", "label", "flagged"),
    [(0.1, "normal", False), (0.29, "normal", False), (0.31, "normal", True), (0.8, "fracture", True)],
)
def test_label_flag_and_urgency(fracture: float, label: str, flagged: bool) -> None:
    found = answer(CARD, (300, 150), np.array([1 - fracture, fracture], np.float32), 1, GRID, 0.5, ood=False)
    assert (found["label"], found["flagged"]) == (label, flagged)
    assert found["urgency"] == pytest.approx(0.5 * fracture)
    assert found["probabilities"] == pytest.approx({"normal": 1 - fracture, "fracture": fracture})
    assert (found["explained"], found["flags"]) == ("fracture", [])


def test_the_map_is_kept_raw_with_its_place() -> None:
    found = answer(CARD, (300, 150), np.array([0.5, 0.5], np.float32), 0, GRID, 2.0, ood=True)
    assert found["saliency"]["grid"] == [[0.1235, -1.0], [0.0, 2e-7]]
    assert found["saliency"]["geometry"] == {
        "scale": pytest.approx(224 / 300), "top": 0, "left": 56, "height": 224, "width": 112,
    }  # fmt: skip
    assert found["flags"] == ["out_of_distribution"]


@pytest.mark.parametrize(
    ("cell", "flags"), [((7, 7), []), ((7, 4), ["border_attention"]), ((0, 7), ["border_attention"])]
)
def test_a_map_on_the_films_border_raises_a_caution_and_nothing_else(cell: tuple[int, int], flags: list[str]) -> None:
    """The picture stands in columns 4 to 9 of the 14."""
    grid = np.zeros((14, 14), np.float32)
    grid[cell] = 1
    found = answer(CARD, (300, 120), np.array([0.2, 0.8], np.float32), 1, grid, 0.5, ood=False)
    assert found["flags"] == flags
    assert (found["label"], found["flagged"]) == ("fracture", True)
