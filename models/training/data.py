"""What a network is trained on: canonical pictures with labels and, where they are drawn, with the lesion's place."""

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine import phantoms
from cspine.settings import Settings
from models.training import duplicates, listing, reading, splitting
from models.training.manifest import SPLITS, LeftOut, Record

FIRST_SEED = 2**40  # training draws from here on, where no one's own phantoms start
SPLIT_SEEDS = {"training": 0, "validation": 600_000, "test": 900_000}
MAP_STEP = 4  # lesion masks are kept at a quarter of the size

Report = Callable[[int, int], None]


@dataclass
class Samples:
    """Pictures of one split, as serving would see them."""

    pictures: list[NDArray[np.uint8]] = field(default_factory=list)  # canonical, (h, w)
    labels: list[int] = field(default_factory=list)
    lesions: list[NDArray[np.uint8]] | None = None  # 0 or 1, (h / MAP_STEP, w / MAP_STEP); None where nobody drew them
    masks: list[NDArray[np.bool_]] = field(default_factory=list)  # with margin, (h, w); kept for the test split
    records: list[Record] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.pictures)

    def add(self, phantom: phantoms.Phantom, seed: int, labels: Sequence[str], with_mask: bool) -> None:
        """Add a drawn phantom with its lesion."""
        assert self.lesions is not None
        digest = hashlib.sha256(phantom.pixels).hexdigest()
        self.pictures.append(phantom.pixels)
        self.labels.append(labels.index(phantom.label))
        self.lesions.append(phantom.lesion[::MAP_STEP, ::MAP_STEP].astype(np.uint8))
        columns = {"kind": phantom.kind, "level": phantom.level}
        self.records.append(Record(f"phantom {seed}", 0, digest, digest, phantom.label, f"{seed}", columns=columns))
        if with_mask:
            self.masks.append(phantom.mask)


@dataclass
class Data:
    """All that a training has: pictures by split, and what was left out of them."""

    splits: dict[str, Samples]
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def records(self) -> list[Record]:
        """The records of every picture, split by split."""
        return [record for samples in self.splits.values() for record in samples.records]

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures stand in each part, and how many files in none."""
        return {**{split: len(samples) for split, samples in self.splits.items()}, "left_out": len(self.left_out)}


def drawn(counts: Mapping[str, int], seed: int, proportions: Mapping[str, int], report: Report) -> Data:
    """Draw phantoms for each split from seeds of its own, the labels in these proportions.

    Each seed is a person of its own, and none is drawn twice.
    """
    labels = list(proportions)
    splits: dict[str, Samples] = {}
    done, total = 0, sum(counts.values())
    # A forked child of a process in which TensorFlow runs may hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for split, count in counts.items():
            first = FIRST_SEED + seed * 1_000_000 + SPLIT_SEEDS[split]
            samples = Samples(lesions=[])
            wanted = dealt(count, proportions)
            for i, phantom in enumerate(pool.map(phantoms.draw, range(first, first + count), wanted, chunksize=8)):
                samples.add(phantom, first + i, labels, with_mask=split == "test")
                done += 1
                report(done, total)
            samples.records = [replace(record, split=split) for record in samples.records]
            splits[split] = samples
    data = Data(splits)
    splitting.check_disjoint(data.records)
    return data


def dealt(count: int, proportions: Mapping[str, int]) -> list[str]:
    """Return that many labels in these proportions, to the nearest whole number, evenly mixed."""
    total = sum(proportions.values())
    exact = {label: count * share / total for label, share in proportions.items()}
    number = {label: int(share) for label, share in exact.items()}
    for label in sorted(exact, key=lambda label: number[label] - exact[label])[: count - sum(number.values())]:
        number[label] += 1
    places = [((i + 0.5) / n, label) for label, n in number.items() for i in range(n)]
    return [label for _, label in sorted(places, key=lambda place: place[0])]


def found(
    source: Path, labels: Sequence[str], shares: Mapping[str, float], seed: int, settings: Settings, scratch: Path,
    report: Report, lost: Callable[[Sequence[LeftOut]], None],
) -> Data:  # fmt: skip
    """Read labelled films from a folder or list and divide them: patients and near-duplicates stay together.

    `lost` is told which files are left out before the others are looked at, since that may be why these will not do.
    """
    entries, left_out = listing.listed(source, labels)
    films = reading.read(entries, settings, scratch, report)
    left_out += films.left_out
    lost(left_out)
    numbers = duplicates.clusters(films.pictures)
    records = [replace(record, cluster=int(number)) for record, number in zip(films.records, numbers, strict=True)]
    records = splitting.divided(records, labels, shares, seed)
    splits = {split: Samples() for split in SPLITS}
    for record, picture in zip(records, films.pictures, strict=True):
        samples = splits[record.split]
        samples.pictures.append(picture)
        samples.labels.append(labels.index(record.label))
        samples.records.append(record)
    return Data(splits, left_out)
