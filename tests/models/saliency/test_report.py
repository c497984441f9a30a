"""The report's table, from a release of a tiny network."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cspine.card import Card
from models.saliency import report as module
from models.saliency.explainer import Explainer
from models.saliency.report import Cases, mean_interval, report


def test_each_method_and_each_simple_map_has_its_row(tiny: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(release: object, count: int) -> Cases:
        rng = np.random.default_rng(0)
        batch = rng.normal(size=(count, 64, 64, 1)).astype(np.float32)
        return Cases(batch, np.ones(count, np.int32), rng.random((count, 64, 64)) < 0.1)

    monkeypatch.setattr(module, "draw", draw)  # this network names next to nothing rightly
    monkeypatch.setattr(module, "MEAN_COUNT", 2)
    monkeypatch.setattr(Explainer, "methods", ["hirescam", "gradient", "occlusion"])  # one of each cost and kind
    options = ["--count", "4", "--slow", "2", "--curves", "1", "--randomised", "2"]
    result = CliRunner().invoke(report, [str(tiny[0]), *options], catch_exceptions=False)
    assert result.exit_code == 0
    table, _, randomised = result.output.partition("\nrandomisation")
    lines = [line for line in table.splitlines() if not line[:4].isdigit()]  # a thread of an earlier test may log
    rows = {line.split()[0]: line.split()[1] for line in lines[2:]}
    assert rows == {"hirescam": "4", "gradient": "4", "occlusion": "2", "(random)": "4", "(edge)": "4",
                    "(centre_gaussian)": "4", "(mean_position)": "4"}  # fmt: skip
    assert [line.split()[0] for line in randomised.splitlines()[1:]] == [name for name in rows if name[0] != "("]


def test_the_interval_of_a_mean() -> None:
    low, high = mean_interval(list(np.random.default_rng(1).normal(5, 1, 400)))
    assert low < 5 < high
    assert high - low == pytest.approx(4 * 1 / 20, rel=0.15)
