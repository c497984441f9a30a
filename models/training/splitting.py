"""Which part of the data a picture belongs to: stratified by label, and no patient or near-duplicate in two parts."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cspine.errors import Usage
from models.training.listing import some
from models.training.manifest import SPLITS, Record

SHARES = {"training": 0.70, "validation": 0.15, "test": 0.15}

# What must not stand in two parts, by the words for it
KEYS: dict[str, Callable[[Record], Hashable]] = {
    "the same pixels": lambda record: record.pixels_sha256,
    "the same bytes": lambda record: record.sha256,
    "one patient": lambda record: record.patient or None,
    "near-duplicates": lambda record: record.cluster if record.cluster >= 0 else None,
}


def divided(records: Sequence[Record], labels: Sequence[str], shares: Mapping[str, float], seed: int) -> list[Record]:
    """Return the records, each with its part; those whose list already says it keep it.

    Raises `Usage` where labels disagree about a picture, where a label is too rare to be in every part, and where parts
    overlap.
    """
    check_labels(records, labels)
    if not any(record.split for record in records):
        records = _dealt(records, labels, shares, seed)
    check_disjoint(records)
    for split in SPLITS:
        present = {record.label for record in records if record.split == split}
        if lacking := [label for label in labels if label not in present]:
            raise Usage(f"the {split} part has no picture of {', '.join(lacking)}")
    return list(records)


def check_labels(records: Iterable[Record], labels: Sequence[str]) -> None:
    """Insist that a picture has one label, and each label two pictures at least."""
    records = list(records)
    for words in ("the same pixels", "the same bytes"):
        for same in _shared(records, words):
            if len({record.label for record in same}) > 1:
                told = some([f"{record.name} ({record.label})" for record in same])
                raise Usage(f"labels disagree about {words}: {told}")
    for label in labels:
        count = sum(record.label == label for record in records)
        if count < 2:
            said = "one picture" if count else "no picture"
            raise Usage(f"{said} of {label} can be read; training needs some in each of {', '.join(SPLITS)}")


def check_disjoint(records: Iterable[Record]) -> None:
    """Insist that no pixels, bytes, patient or cluster stand in two parts; raises `Usage` that names the files."""
    records = list(records)
    for words in KEYS:
        for same in _shared(records, words):
            if len({record.split for record in same}) > 1:
                first = {record.split: record for record in reversed(same)}
                told = some([f"{record.name} ({split})" for split, record in first.items()])
                raise Usage(f"{words} in two parts of the data: {told}")


def groups(records: Sequence[Record]) -> NDArray[np.int64]:
    """Return a group's number, int64 (n,), for each record: what shares a key, directly or over others, is a group."""
    rows, columns = [], []
    for key in KEYS.values():
        first: dict[Hashable, int] = {}
        for i, record in enumerate(records):
            if (value := key(record)) is not None:
                rows.append(i)
                columns.append(first.setdefault(value, i))
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(records), len(records)))
    _, found = connected_components(graph, directed=False)
    return found.astype(np.int64)


def _dealt(records: Sequence[Record], labels: Sequence[str], shares: Mapping[str, float], seed: int) -> list[Record]:
    """Deal groups, the largest first, each to the part that lacks most of what it holds."""
    names = groups(records)
    counts = np.zeros((names.max() + 1, len(labels)))  # pictures by group and label
    np.add.at(counts, (names, [labels.index(record.label) for record in records]), 1)
    for index, label in enumerate(labels):
        if (found := np.count_nonzero(counts[:, index])) < len(SPLITS):
            raise Usage(
                f"the pictures of {label} are of {found} patients or near-duplicates only; each of "
                f"{', '.join(SPLITS)} needs one of its own"
            )
    rng = np.random.default_rng(seed)
    wanted = np.outer([shares[split] for split in SPLITS], counts.sum(0))  # by part and label
    order = rng.permutation(len(counts))
    lacking, part = wanted.copy(), np.zeros(len(counts), int)
    for group in order[np.argsort(-counts[order].sum(1), kind="stable")]:
        part[group] = np.argmax((lacking / wanted) @ counts[group])
        lacking[part[group]] -= counts[group]
    return [replace(record, split=SPLITS[part[group]]) for record, group in zip(records, names, strict=True)]


def _shared(records: Iterable[Record], words: str) -> list[list[Record]]:
    found: dict[Hashable, list[Record]] = defaultdict(list)
    for record in records:
        if (value := KEYS[words](record)) is not None:
            found[value].append(record)
    return [same for same in found.values() if len(same) > 1]
