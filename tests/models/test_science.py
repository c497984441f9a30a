"""The figures of the papers and of the original project as a table: each is what our code computes, not what it quotes.

Shapes, paddings and normalisation layer by layer stand in `test_alexnet`, `test_googlenet`, `test_networks` and
`test_lrn`.
"""

from collections.abc import Callable

import pytest

from cspine.card import Metric
from models import metrics
from models.networks import NETWORKS


def percent(value: float, digits: int = 2) -> float:
    return round(100 * value, digits)


def wilson(hits: int, n: int, digits: int = 2) -> tuple[float, float]:
    interval = metrics.wilson(hits, n)
    return percent(interval.low, digits), percent(interval.high, digits)


def parameters(network: str, **options: bool) -> int:
    return int(NETWORKS[network].build(1000, **options).count_params())


ACCURACY = metrics.wilson(298, 300)  # Naguib et al. 2023, whose four figures are those of 2 errors in 300


def micro(figure: Callable[[Metric, int], Metric]) -> float:
    return percent(figure(ACCURACY, 3).value)


FIGURES: list[tuple[str, Callable[[], object], object]] = [
    ("Naguib 2023, sensitivity and precision: the share of right answers", lambda: percent(ACCURACY.value), 99.33),
    ("Naguib 2023, accuracy: of one against the rest", lambda: micro(metrics.accuracy_ovr_micro), 99.56),
    ("Naguib 2023, specificity: of the same decisions", lambda: micro(metrics.specificity_ovr_micro), 99.67),
    ("original project, 306 of 307: the claim", lambda: percent(306 / 307), 99.67),
    ("original project, 306 of 307: its interval", lambda: wilson(306, 307), (98.18, 99.94)),
    ("original project, normal films 110 of 111", lambda: wilson(110, 111), (95.07, 99.84)),
    ("original project, 80 further films, 78 right", lambda: wilson(78, 80, 1), (91.3, 99.3)),
    ("original project, 80 further films, a radiologist, 71 right", lambda: wilson(71, 80, 1), (80.0, 94.0)),
    ("AlexNet, 1000 classes", lambda: parameters("alexnet"), 60_965_224),
    ("GoogLeNet, 1000 classes", lambda: parameters("googlenet"), 6_998_552),
    ("GoogLeNet, 1000 classes, both auxiliary heads", lambda: parameters("googlenet", auxiliary=True), 13_378_280),
]  # fmt: skip


@pytest.mark.parametrize(("computed", "expected"), [row[1:] for row in FIGURES], ids=[row[0] for row in FIGURES])
def test_figure(computed: Callable[[], object], expected: object) -> None:
    assert computed() == expected
