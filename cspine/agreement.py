"""How far two answers agree: observed agreement with its interval, Cohen's kappa, McNemar's exact test.

Pure functions of counts. Neither answer is the truth: they say how alike two releases are, not which one is right.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

Z95 = 1.959963984540054  # of the standard normal distribution, two-sided 95 %

Table = Mapping[tuple[str, str], int]  # (what the one says, what the other says) -> how many


@dataclass(frozen=True)
class McNemar:
    """The pairs on which two yes-or-no answers differ, and how likely a split so uneven is by chance."""

    first_only: int  # yes by the first answer alone
    second_only: int  # yes by the second answer alone
    p: float  # two-sided


@dataclass(frozen=True)
class Agreement:
    """How often two answers are the same, with the Wilson interval at 95 %, and Cohen's kappa."""

    count: int
    same: int
    share: float | None  # null where nothing was compared
    low: float | None
    high: float | None
    kappa: float | None  # null where both give one and the same answer to all: chance alone would agree


def agreement(table: Table) -> Agreement:
    """Summarise a table of labels by two answers; raises `ValueError` where a count is negative."""
    if any(count < 0 for count in table.values()):
        raise ValueError("a negative count")
    count = sum(table.values())
    same = sum(number for (first, second), number in table.items() if first == second)
    if not count:
        return Agreement(0, 0, None, None, None, None)
    low, high = wilson(same, count)
    return Agreement(count, same, same / count, low, high, cohen_kappa(table))


def cohen_kappa(table: Table) -> float | None:
    """Return Cohen's kappa, without weights (Cohen 1960); null where it is not defined.

    In whole numbers up to the last division, so that full agreement is exactly 1.
    """
    count = sum(table.values())
    same = sum(number for (first, second), number in table.items() if first == second)
    rows: dict[str, int] = {}
    columns: dict[str, int] = {}
    for (first, second), number in table.items():
        rows[first] = rows.get(first, 0) + number
        columns[second] = columns.get(second, 0) + number
    by_chance = sum(number * columns.get(label, 0) for label, number in rows.items())
    if by_chance == count * count:
        return None
    return (count * same - by_chance) / (count * count - by_chance)


def mcnemar(first_only: int, second_only: int) -> McNemar:
    """Test whether two yes-or-no answers say yes equally often: exact, two-sided (McNemar 1947, binomial form).

    Of the pairs that differ, each is as likely to go the one way as the other. The p-value is twice the lesser tail of
    the binomial distribution, at most 1, summed in whole numbers. Raises `ValueError` for a negative count.
    """
    if first_only < 0 or second_only < 0:
        raise ValueError("a negative count")
    differing, lesser = first_only + second_only, min(first_only, second_only)
    term = tail = 1
    for k in range(lesser):
        term = term * (differing - k) // (k + 1)
        tail += term
    whole = 1 << differing
    return McNemar(first_only, second_only, 1.0 if 2 * tail >= whole else 2 * tail / whole)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the interval of a share at 95 % (Wilson 1927); it stays inside 0 and 1."""
    share, square = hits / count, Z95 * Z95
    middle = share + square / (2 * count)
    reach = Z95 * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    low, high = (middle - reach) / (1 + square / count), (middle + reach) / (1 + square / count)
    return (0.0 if hits == 0 else low), (1.0 if hits == count else high)
