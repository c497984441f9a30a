"""The ledger: one bucket for each file, and a sum that shows a lost one."""

import pytest

from cspine.ledger import BUCKETS, Ledger, bucket_of
from cspine.states import Disposition, State


@pytest.mark.parametrize("state", State)
def test_an_accepted_file_stands_in_one_bucket_in_every_state(state: State) -> None:
    assert bucket_of(Disposition.ACCEPTED, state) in BUCKETS


@pytest.mark.parametrize(
    ("disposition", "state", "bucket"),
    [
        ("duplicate", "done", "duplicate"),
        ("not_an_image", None, "not_an_image"),
        ("rejected", "done", "rejected"),
        ("accepted", "done", "analysed"),
        ("accepted", "waiting", "waiting"),
        ("accepted", "screening", "waiting"),
        ("accepted", "failed", "failed"),
        ("accepted", "quarantined", "quarantined"),
        ("accepted", "cancelled", "cancelled"),
    ],
)
def test_the_first_bucket_that_applies(disposition: str, state: str | None, bucket: str) -> None:
    assert bucket_of(disposition, state) == bucket


def test_a_file_without_a_screening_unbalances_the_ledger() -> None:
    assert bucket_of("accepted", None) not in BUCKETS
    assert not Ledger("b", received=1).balanced


def test_the_contract_of_the_json() -> None:
    ledger = Ledger("b", received=3, analysed=1, duplicate=1, rejected=1, studies=1, images=1)
    assert list(ledger.as_dict()) == ["batch", "received", *BUCKETS, "balanced", "studies", "images"]
    assert ledger.balanced
    assert ledger.troubled
