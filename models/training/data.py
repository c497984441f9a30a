"""What a network is trained on: canonical pictures with labels and, where they are drawn, with the lesion's place."""

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cspine import phantoms
from cspine.decoding import canonical, decode
from cspine.errors import Refused, Skipped, Usage
from cspine.settings import Settings

FIRST_SEED = 2**40  # training draws from here on, where no one's own phantoms start
SPLIT_SEEDS = {"training": 0, "validation": 600_000, "test": 900_000}
SHARES = {"training": 0.70, "validation": 0.15, "test": 0.15}
MAP_STEP = 4  # lesion masks are kept at a quarter of the size


@dataclass
class Samples:
    """Pictures of one split, as serving would see them."""

    pictures: list[NDArray[np.uint8]] = field(default_factory=list)  # canonical, (h, w)
    labels: list[int] = field(default_factory=list)
    lesions: list[NDArray[np.uint8]] | None = None  # 0 or 1, (h / MAP_STEP, w / MAP_STEP); None where nobody drew them
    kinds: list[str] = field(default_factory=list)
    masks: list[NDArray[np.bool_]] = field(default_factory=list)  # with margin, (h, w); kept for the test split
    manifest: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.pictures)

    def add(self, phantom: phantoms.Phantom, seed: int, labels: Sequence[str], with_mask: bool) -> None:
        """Add a drawn phantom with its lesion."""
        assert self.lesions is not None
        self.pictures.append(phantom.pixels)
        self.labels.append(labels.index(phantom.label))
        self.lesions.append(phantom.lesion[::MAP_STEP, ::MAP_STEP].astype(np.uint8))
        self.kinds.append(phantom.kind or phantom.label)
        self.manifest.append(f"{seed} {phantom.label} {hashlib.sha256(phantom.pixels).hexdigest()}")
        if with_mask:
            self.masks.append(phantom.mask)


Splits = dict[str, Samples]
Report = Callable[[int, int], None]


def drawn(counts: dict[str, int], seed: int, labels: Sequence[str], report: Report) -> Splits:
    """Draw phantoms for each split from seeds of its own, equally many of each label."""
    splits: Splits = {}
    done, total = 0, sum(counts.values())
    # A forked child of a process in which TensorFlow runs may hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for split, count in counts.items():
            first = FIRST_SEED + seed * 1_000_000 + SPLIT_SEEDS[split]
            wanted = [labels[i % len(labels)] for i in range(count)]
            samples = Samples(lesions=[])
            for i, phantom in enumerate(pool.map(phantoms.draw, range(first, first + count), wanted, chunksize=8)):
                samples.add(phantom, first + i, labels, with_mask=split == "test")
                done += 1
                report(done, total)
            splits[split] = samples
    return splits


def found(
    folder: Path, labels: Sequence[str], settings: Settings, report: Report, say: Callable[[str], None]
) -> Splits:
    """Decode a folder per label; a patient, or the same pixels, never stand in two splits.

    A file that cannot be used is left out, and said so with its reason.
    """
    files = list(_files(folder, labels))
    splits: Splits = {split: Samples() for split in SHARES}
    for i, (label, path) in enumerate(files):
        try:
            with path.open("rb") as file:
                decoded = decode(file, path.name, settings)
        except (Refused, Skipped) as error:
            say(f"left out: {path.relative_to(folder)} ({error.reason.value})")
            report(i + 1, len(files))
            continue
        for frame in decoded.frames:
            picture = canonical(frame)
            key = decoded.header.meta.patient_id or hashlib.sha256(frame.pixels).hexdigest()
            samples = splits[_split(key)]
            samples.pictures.append(picture)
            samples.labels.append(label)
            samples.kinds.append(labels[label])
            samples.manifest.append(f"{path.relative_to(folder)}#{frame.index} {hashlib.sha256(picture).hexdigest()}")
        report(i + 1, len(files))
    for split, samples in splits.items():
        if lacking := [labels[label] for label in range(len(labels)) if label not in samples.labels]:
            raise Usage(f"{folder} gives the {split} split no picture of {', '.join(lacking)}; more are needed")
    return splits


def manifest_sha256(splits: Splits) -> str:
    """Return the SHA-256 over what stands in each split."""
    digest = hashlib.sha256()
    for split, samples in splits.items():
        for name, line in zip(repeat(split), samples.manifest, strict=False):
            digest.update(f"{name} {line}\n".encode())
    return digest.hexdigest()


def _files(folder: Path, labels: Sequence[str]) -> Iterator[tuple[int, Path]]:
    for index, label in enumerate(labels):
        if not (folder / label).is_dir():
            raise Usage(f"{folder} has no folder {label}")
        for path in sorted((folder / label).rglob("*")):
            if path.is_file():
                yield index, path


def _split(key: str) -> str:
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) / 2**32
    for split, share in SHARES.items():
        if place < share:
            return split
        place -= share
    return "test"
