"""Agreement: held against tables worked by hand, against SciPy and scikit-learn, and against what must always hold."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from cspine.agreement import Table, agreement, cohen_kappa, mcnemar, wilson


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),  # 2 * 1/2
        (3, 0, 0.25),  # 2 * 1/8
        (5, 0, 0.0625),  # 2 * 1/32
        (6, 1, 0.125),  # 2 * (1 + 7)/128
        (2, 8, 0.109375),  # 2 * (1 + 10 + 45)/1024
        (5, 5, 1.0),  # 2 * 638/1024 is more than 1
        (9, 1, 0.021484375),  # 2 * 11/1024
    ],
)
def test_mcnemar_by_hand(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second).p == p
    assert mcnemar(second, first).p == p


def test_mcnemar_is_the_sign_test_of_scipy() -> None:
    for first, second in [*product(range(12), range(12)), (40, 70), (300, 411), (1500, 1620)]:
        if first + second:
            expected = binomtest(first, first + second, 0.5).pvalue
            assert mcnemar(first, second).p == pytest.approx(expected, rel=1e-9), (first, second)


def test_mcnemar_of_many_neither_overflows_nor_takes_for_ever() -> None:
    assert mcnemar(30_000, 30_000).p == 1.0
    assert mcnemar(30_000, 29_000).p == pytest.approx(binomtest(29_000, 59_000, 0.5).pvalue, rel=1e-6)
    assert mcnemar(40_000, 0).p == 0.0


def test_a_table_by_hand() -> None:
    """Of 50 films both call 20 positive and 15 negative; the one alone calls 5 positive, the other alone 10."""
    table = {("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15}
    found = agreement(table)
    assert (found.count, found.same, found.share) == (50, 35, 0.7)
    # by chance: (25 * 30 + 25 * 20) / 2500 = 0.5, so kappa = (0.7 - 0.5) / 0.5
    assert found.kappa == pytest.approx(0.4, abs=1e-15)


def test_three_labels_by_hand() -> None:
    """Rows 10, 10, 10 and columns 12, 8, 10: chance 300/900 = 1/3; same 24 of 30; kappa (0.8 - 1/3) / (2/3) = 0.7."""
    table = {("a", "a"): 9, ("a", "b"): 0, ("a", "c"): 1, ("b", "a"): 2, ("b", "b"): 7, ("b", "c"): 1,
             ("c", "a"): 1, ("c", "b"): 1, ("c", "c"): 8}  # fmt: skip
    assert cohen_kappa(table) == pytest.approx(0.7, abs=1e-15)


def test_kappa_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    for labels in (2, 3, 5):
        for _ in range(20):
            first = random.integers(0, labels, 80)
            second = np.where(random.random(80) < 0.6, first, random.integers(0, labels, 80))
            table: dict[tuple[str, str], int] = {}
            for one, other in zip(first, second, strict=True):
                table[str(one), str(other)] = table.get((str(one), str(other)), 0) + 1
            assert cohen_kappa(table) == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


def test_the_ends_of_kappa() -> None:
    assert cohen_kappa({("a", "a"): 3, ("b", "b"): 4}) == 1.0
    assert cohen_kappa({("a", "b"): 5, ("b", "a"): 5}) == -1.0
    assert cohen_kappa({("a", "b"): 5}) == 0.0
    assert cohen_kappa({("a", "a"): 7}) is None, "one answer to all: nothing to tell from chance"
    assert cohen_kappa({}) is None


def test_nothing_compared() -> None:
    empty: Table = {}
    found = agreement(empty)
    assert (found.count, found.share, found.low, found.high, found.kappa) == (0, None, None, None, None)


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (1, 1), (7, 10), (81, 263), (1500, 1500), (1, 100_000)])
def test_the_interval_is_that_of_scipy(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    assert wilson(hits, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        mcnemar(-1, 2)
    with pytest.raises(ValueError, match="negative"):
        agreement({("a", "b"): -1})
