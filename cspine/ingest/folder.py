"""Folders: every file below a path, in a stable order, with the name it is shown under."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def files(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Give each file once, with its name relative to the path that was asked for; links to folders are not followed."""
    for path in paths:
        if not path.is_dir():
            yield path, path.name
            continue
        for folder, names, leaves in os.walk(path):
            names.sort()
            for leaf in sorted(leaves):
                found = Path(folder) / leaf
                yield found, found.relative_to(path).as_posix()
