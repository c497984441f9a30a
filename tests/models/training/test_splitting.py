"""Parts of the data: stratified, whole groups, and refused wherever anything stands in two of them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from cspine.errors import Usage
from models.training import splitting
from models.training.manifest import Record
from models.training.splitting import SHARES, divided
from tests.models.training.small import LABELS


def records(count: int, **fields: object) -> list[Record]:
    """Give so many records of different films, labels in turn."""
    return [
        replace(Record(f"{i}.png", 0, f"bytes {i}", f"pixels {i}", LABELS[i % 3], cluster=i), **fields)
        for i in range(count)
    ]


def test_parts_have_their_shares_of_each_label() -> None:
    found = divided(records(300), LABELS, SHARES, seed=1)
    counts = Counter((record.split, record.label) for record in found)
    for label in LABELS:
        assert [counts[split, label] for split in SHARES] == [70, 15, 15]


def test_the_seed_decides_and_nothing_else() -> None:
    assert divided(records(60), LABELS, SHARES, 1) == divided(records(60), LABELS, SHARES, 1)
    assert divided(records(60), LABELS, SHARES, 1) != divided(records(60), LABELS, SHARES, 2)


def test_patients_and_clusters_stay_together_over_others() -> None:
    """Films of a patient, near-duplicates of one of them and films of that one's patient are one group."""
    rng = np.random.default_rng(0)
    films = [replace(record, patient=f"{rng.integers(40)}", cluster=int(rng.integers(3000))) for record in records(200)]
    found = divided(films, LABELS, SHARES, seed=3)
    splitting.check_disjoint(found)
    groups = splitting.groups(found)
    assert 3 <= len(set(groups.tolist())) < 40
    assert all(len({found[i].split for i in np.flatnonzero(groups == group)}) == 1 for group in groups)
    chain = [replace(a, patient=p, cluster=c) for a, p, c in zip(records(4), "ppq ", (1, 2, 2, 3), strict=True)]
    assert splitting.groups(chain).tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"patient": "p"}, "one patient in two parts of the data: 1.png .validation., 0.png .training."),
        ({"cluster": 5}, "near-duplicates in two parts"),
        ({"pixels_sha256": "same"}, "the same pixels in two parts"),
        ({"sha256": "same"}, "the same bytes in two parts"),
    ],
)
def test_what_stands_in_two_parts_is_named(field: dict[str, object], words: str) -> None:
    films = records(9)
    films = [replace(film, split=split) for film, split in zip(films, sorted(SHARES) * 3, strict=True)]
    films[0] = replace(films[0], split="training", **field)
    films[1] = replace(films[1], split="validation", **field, label=films[0].label)
    with pytest.raises(Usage, match=words):
        divided(films, LABELS, SHARES, seed=1)


def test_a_list_s_own_parts_are_kept() -> None:
    parts = [split for split in SHARES for _ in range(3)]
    films = [replace(film, split=split) for film, split in zip(records(9), parts, strict=True)]
    assert [film.split for film in divided(films, LABELS, SHARES, seed=1)] == parts
    films[8] = replace(films[8], split="training")
    with pytest.raises(Usage, match="the test part has no picture of dislocation"):
        divided(films, LABELS, SHARES, seed=1)


def test_labels_that_disagree_are_named() -> None:
    films = records(30)
    films[1] = replace(films[1], pixels_sha256=films[0].pixels_sha256)
    with pytest.raises(Usage, match=r"labels disagree about the same pixels: 0.png .normal., 1.png .fracture."):
        divided(films, LABELS, SHARES, seed=1)


def test_labels_with_too_little_behind_them() -> None:
    films = [film for film in records(30) if film.label != "fracture"]
    with pytest.raises(Usage, match="no picture of fracture"):
        divided(films, LABELS, SHARES, seed=1)
    with pytest.raises(Usage, match="one picture of fracture"):
        divided([*films, records(2)[1]], LABELS, SHARES, seed=1)
    of_one = [replace(film, patient="p" if film.label == "normal" else "") for film in records(30)]
    with pytest.raises(Usage, match="the pictures of normal are of 1 patients or near-duplicates only"):
        divided(of_one, LABELS, SHARES, seed=1)
