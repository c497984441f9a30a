"""A demonstration night: studies as a department would send them overnight, with the usual accidents among them."""

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cspine.phantoms.drawing import draw
from cspine.phantoms.files import Study, write_dicom, write_truth

SHARES = {"normal": 0.70, "fracture": 0.18, "dislocation": 0.12}
FIRST_DAY = datetime.date(2025, 3, 3)


def write_night(
    folder: Path, seed: int, studies: int = 44, progress: Callable[[int], object] = lambda written: None
) -> list[Path]:
    """Write a night as DICOM with truth.csv: a fifth of the studies with two or three images, most of them normal.

    Beside them: a file that ends too soon, a text that calls itself DICOM, and one file twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, studies])
    date = FIRST_DAY + datetime.timedelta(seed % 300)
    rows, paths = [], []
    for i, label in enumerate(_labels(rng, studies)):
        study = Study(seed * 10_000 + i, date)
        for number in range(1, 1 + int(rng.choice([1, 2, 3], p=[0.80, 0.15, 0.05]))):
            path = folder / f"study-{i + 1:03d}-{number}.dcm"
            phantom = draw(study.seed * 10 + number, label if number == 1 else str(rng.choice(["normal", label])))
            write_dicom(path, phantom, study, number)
            rows.append((path.name, phantom))
            paths.append(path)
        progress(i + 1)
    write_truth(folder / "truth.csv", rows)
    return [*paths, *_accidents(folder, paths)]


def _labels(rng: np.random.Generator, studies: int) -> list[str]:
    """Deal the labels in their shares, in random order, so that even a short night has each of them."""
    counts = {label: max(1, round(share * studies)) for label, share in SHARES.items()}
    counts["normal"] = studies - counts["fracture"] - counts["dislocation"]
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [labels[i] for i in rng.permutation(len(labels))]


def _accidents(folder: Path, paths: list[Path]) -> list[Path]:
    truncated, text, twice = folder / "interrupted.dcm", folder / "note.dcm", folder / "sent-again.dcm"
    whole = paths[-1].read_bytes()
    truncated.write_bytes(whole[: len(whole) // 3])
    text.write_text("Please read the film of room 2 first, the patient is in pain.\n")
    shutil.copyfile(paths[0], twice)
    return [truncated, text, twice]
