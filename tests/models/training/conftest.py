"""The small network under its name."""

from collections.abc import Iterator

import pytest

from models.networks import NETWORKS
from models.training.fit import Task
from tests.models.training.small import LABELS, SMALL, WANTED, stripes


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Know the small network."""
    monkeypatch.setitem(NETWORKS, "small", SMALL)
    yield


@pytest.fixture(scope="session")
def task() -> Task:
    """Give 12 pictures to train on and 6 to validate on."""
    return Task(stripes(12), stripes(6, seed=1), LABELS, WANTED, drawn=False)
