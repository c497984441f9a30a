"""Which files there are and what is said of them: a folder per label, or a list as CSV."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cspine.errors import Usage
from models.training.manifest import SPLITS, LeftOut

ALIASES = {"c-spine_nor": "normal", "c-spine_frac": "fracture", "c-spine_dis": "dislocation"}
SPLIT_ALIASES = {"train": "training", "val": "validation", **{split: split for split in SPLITS}}
NAMED = 5  # files that an error names


@dataclass(frozen=True)
class Entry:
    """A file with its label and whatever else is known before it is read."""

    path: Path
    file: str
    label: str
    patient: str = ""
    split: str = ""
    columns: dict[str, str] = field(default_factory=dict)


def listed(data: Path, labels: Sequence[str]) -> tuple[list[Entry], list[LeftOut]]:
    """List the files of a folder or of a CSV file, and those that belong to no label.

    Raises `Usage` where a label has no file, where a folder or row names none of the labels, and where a list is
    incomplete.
    """
    if data.is_dir():
        entries, left_out = list(_folders(data, labels)), list(_loose(data))
    else:
        entries, left_out = _rows(data, labels), []
    if empty := [label for label in labels if not any(entry.label == label for entry in entries)]:
        raise Usage(f"{data} has no file of {', '.join(empty)}")
    return entries, left_out


def some(names: Sequence[str]) -> str:
    """Name the first few and count the others."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _folders(data: Path, labels: Sequence[str]) -> Iterator[Entry]:
    folders = {path: _label(path.name, labels) for path in sorted(data.iterdir()) if path.is_dir() and _seen(path)}
    if strangers := [path.name for path, label in folders.items() if label is None]:
        raise Usage(f"{data}: no label is named by the folder {some(strangers)}; the labels are {', '.join(labels)}")
    if lacking := [label for label in labels if label not in folders.values()]:
        raise Usage(f"{data} has no folder {', '.join(lacking)}")
    for folder, label in folders.items():
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield Entry(path, str(path.relative_to(data)), str(label))


def _loose(data: Path) -> Iterator[LeftOut]:
    for top in sorted(data.iterdir()):
        if top.is_file() or not _seen(top):
            for path in [top] if top.is_file() else sorted(top.rglob("*")):
                if path.is_file():
                    yield LeftOut(str(path.relative_to(data)), "in no label's folder")


def _rows(data: Path, labels: Sequence[str]) -> list[Entry]:
    try:
        with data.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Usage(f"{data} is not a list as CSV: {error}") from error
    if missing := [name for name in ("file", "label") if name not in (reader.fieldnames or ())]:
        raise Usage(f"{data} has no column {', '.join(missing)}")
    entries = [_row(data, number, row, labels) for number, row in enumerate(rows, start=2)]
    if gone := [entry.file for entry in entries if not entry.path.is_file()]:
        raise Usage(f"{data} lists what is not there: {some(gone)}")
    if twice := [file for file, count in Counter(entry.file for entry in entries).items() if count > 1]:
        raise Usage(f"{data} lists a file more than once: {some(twice)}")
    unsaid = [entry.file for entry in entries if not entry.split]
    if 0 < len(unsaid) < len(entries):
        raise Usage(f"{data} gives some files a split and others none: {some(unsaid)}")
    return entries


def _row(data: Path, number: int, row: dict[str, str], labels: Sequence[str]) -> Entry:
    if None in row or None in row.values():
        raise Usage(f"{data}, line {number}: another number of columns than the first line has")
    values = {name: value.strip() for name, value in row.items()}
    file, label, split = values.pop("file"), _label(values.pop("label"), labels), values.pop("split", "")
    if label is None:
        raise Usage(f"{data}, line {number}: {row['label']!r} is none of the labels {', '.join(labels)}")
    if split and split not in SPLIT_ALIASES:
        raise Usage(f"{data}, line {number}: {split!r} is none of the splits {', '.join(SPLITS)}")
    return Entry(data.parent / file, file, label, values.pop("patient", ""), SPLIT_ALIASES.get(split, ""), values)


def _label(name: str, labels: Sequence[str]) -> str | None:
    name = name.lower()
    known = {label.lower(): label for label in labels}
    return known.get(name) or known.get(ALIASES.get(name, ""))


def _seen(path: Path) -> bool:
    return not path.name.startswith((".", "__"))
