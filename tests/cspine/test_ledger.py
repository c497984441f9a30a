"""The ledger: one bucket for each file, and a sum that shows a lost one."""

import csv
import io
from typing import Any

import pytest

from cspine.ledger import BUCKETS, Ledger, bucket_of, csv_rows
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


def file(name: str, **values: Any) -> dict[str, Any]:
    return {"file": name, "bucket": "analysed", "reason": None, "flags": [], "study": "abc", "id": 1} | values


def test_the_download_has_a_line_for_each_file() -> None:
    files = [file('a "b", c.dcm', flags=["bad_date", "partial"]), file("d.txt", bucket="rejected", reason="corrupt",
                                                                       study=None)]  # fmt: skip
    rows = list(csv.reader(io.StringIO("".join(csv_rows(files)), newline="")))
    assert rows == [
        ["file", "bucket", "reason", "flags", "study"],
        ['a "b", c.dcm', "analysed", "", "bad_date partial", "abc"],
        ["d.txt", "rejected", "corrupt", "", ""],
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", "  =1", "＝1", '=HYPERLINK("x")'])
def test_no_cell_of_the_download_is_a_formula(name: str) -> None:
    (_, row) = csv.reader(io.StringIO("".join(csv_rows([file(name)])), newline=""))
    assert row[0] == f"'{name}"


def test_a_sound_name_is_not_changed() -> None:
    (_, row) = csv.reader(io.StringIO("".join(csv_rows([file("a=b-c@d+e.dcm")])), newline=""))
    assert row[0] == "a=b-c@d+e.dcm"
